//! How tokens are obtained, stored and renewed, against an application with a token endpoint on a real socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};

use url::form_urlencoded;

use super::*;
use crate::engine::token::Tokens;
use crate::source::ErrorClass;

mod assertions;
mod clients;
mod consent;
mod flow;
mod refusals;
mod renewal;
mod sessions;

/// A manifest with these settings in addition to `base_url`, this `auth` and further top-level keys. Its users are
/// at `/users`.
fn connector(config: &str, auth: &str, more: &str) -> Arc<Manifest> {
    let headers = if more.contains("path:") { more.to_owned() } else { format!("{more}\nusers:\n  path: /users") };
    let text = format!(
        "
name: Test
category: identity
description: An application made up for tests.
required_permissions: [users.read]
setup: Nothing.
config:
  - {{key: base_url, label: Address, type: url}}
{config}
base_url: '{{{{config.base_url}}}}'
auth:
{auth}
{headers}
  pages: none
  records: $.users
  map: {{external_id: $.id, email: $.email, status: active}}
"
    );
    let parsed = manifest::parse(&text, "test.yaml");
    Arc::new(parsed.unwrap_or_else(|faults| panic!("{faults:#?}\n{text}")))
}

/// Settings for a client id and a secret.
const CLIENT: &str = "  - {key: id, label: Id, type: text}\n  - {key: secret, label: Secret, type: secret}";

fn client_credentials(more: &str) -> Arc<Manifest> {
    let auth = format!(
        "  oauth2_client_credentials:
    token_url: '{{{{config.base_url}}}}/token'
    client_id: '{{{{config.id}}}}'
    client_secret: '{{{{config.secret}}}}'
{more}"
    );
    connector(CLIENT, &auth, "")
}

fn config(peer: &Peer, more: &[(&str, &str)]) -> Config {
    let own = [("base_url", peer.origin.as_str()), ("id", "my app"), ("secret", TOKEN)];
    own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn signed_in(manifest: &Arc<Manifest>, config: Config, settings: ClientSettings) -> HttpSource {
    HttpSource::new(Arc::clone(manifest), config, &Client::new(settings).unwrap(), None).unwrap()
}

fn tokens(manifest: &Arc<Manifest>, config: Config, settings: ClientSettings) -> Tokens {
    let config = manifest.complete(config).unwrap();
    Tokens::new(Arc::clone(manifest), Arc::new(config), Client::new(settings).unwrap(), None)
}

/// An application whose token endpoint gives these answers in turn and repeats the last one, and whose list accepts
/// these tokens.
async fn application(answers: Vec<(u16, Value)>, accepted: &'static [&'static str]) -> Peer {
    let answers: Arc<Mutex<VecDeque<(u16, Value)>>> = Arc::new(Mutex::new(answers.into()));
    Peer::answering(move |_, call| {
        if !call.uri.starts_with("/users") {
            let mut answers = answers.lock();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            let (status, body) = answer.unwrap();
            return respond(status, &[], body.to_string());
        }
        let sent = header(call, "authorization");
        let token = sent.strip_prefix("Bearer ").unwrap_or_default();
        if accepted.contains(&token) {
            ok(&json!({"users": [{"id": "1"}]}))
        } else {
            respond(401, &[], json!({"message": "no"}).to_string())
        }
    })
    .await
}

fn given(token: &str) -> (u16, Value) {
    (200, json!({"access_token": token, "expires_in": 3600, "token_type": "bearer"}))
}

fn header(call: &Call, name: &str) -> String {
    call.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn form(call: &Call) -> BTreeMap<String, String> {
    assert_eq!(header(call, "content-type"), "application/x-www-form-urlencoded");
    let pairs: Vec<_> = form_urlencoded::parse(call.body.as_bytes()).into_owned().collect();
    let form: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(form.len(), pairs.len(), "a parameter comes twice: {}", call.body);
    form
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A clock that the test sets, in Unix milliseconds.
fn with_clock() -> (Arc<AtomicI64>, ClientSettings) {
    let clock = Arc::new(AtomicI64::new(NOW));
    let hand = Arc::clone(&clock);
    (clock, ClientSettings { now: Arc::new(move || hand.load(Ordering::SeqCst)), ..settings() })
}

/// Waits until the condition is true, and fails after ten seconds.
async fn until(what: &str, test: impl Fn() -> bool) {
    let wait = async {
        while !test() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
