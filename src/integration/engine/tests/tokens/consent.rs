//! Grants: when they are renewed, in which order of steps, and what ends them.

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::engine::client::{Request as Sent, Response as Received, Transport};
use crate::engine::memory::Share;
use crate::engine::transport::TransportError;
use crate::grant::{Grant, GrantStore, Renew, StoredGrant};

/// A store in memory. Its log has the stored grants and the requests in order.
struct Store {
    stored: Mutex<Option<StoredGrant>>,
    log: Arc<Mutex<Vec<String>>>,
    renewing: tokio::sync::Mutex<()>,
}

impl Store {
    fn of(grant: Option<Grant>) -> Arc<Self> {
        let stored = Mutex::new(grant.map(|grant| StoredGrant { grant, generation: 0 }));
        Arc::new(Self { stored, log: Arc::default(), renewing: tokio::sync::Mutex::default() })
    }

    fn grant(&self) -> Grant {
        self.stored.lock().clone().unwrap().grant
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().clone()
    }
}

#[async_trait]
impl GrantStore for Store {
    async fn read(&self) -> Result<Option<StoredGrant>, SourceError> {
        Ok(self.stored.lock().clone())
    }

    async fn renew(&self, seen: i64, renew: &dyn Renew) -> Result<StoredGrant, SourceError> {
        let _one = self.renewing.lock().await;
        let stored = self.stored.lock().clone().unwrap();
        if stored.generation != seen {
            return Ok(stored);
        }
        let grant = renew.renew(&stored.grant).await?;
        self.log.lock().push(format!("stored {}", grant.access_token));
        let stored = StoredGrant { grant, generation: seen + 1 };
        *self.stored.lock() = Some(stored.clone());
        Ok(stored)
    }
}

/// A grant with the access token `a1` and the refresh token `r1-canary`.
fn grant(expires_at: Option<i64>) -> Grant {
    Grant {
        access_token: "a1".to_owned(),
        refresh_token: Some("r1-canary".to_owned()),
        expires_at,
        refresh_expires_at: Some(NOW + 1_000_000),
        found: [("org".to_owned(), "7".to_owned())].into(),
    }
}

fn manifest() -> Arc<Manifest> {
    let auth = "  oauth2_authorization_code:
    authorize_url: '{{config.base_url}}/authorize'
    token_url: '{{config.base_url}}/token'
    client_id: '{{config.id}}'
    client_secret: '{{config.secret}}'
    params: {resource: api}
    keep: {org: $.org}";
    connector(CLIENT, auth, "users:\n  path: /users/{{found.org}}")
}

fn client() -> Client {
    Client::new(settings()).unwrap()
}

fn consented(peer: &Peer, store: Option<&Arc<Store>>, client: &Client) -> HttpSource {
    let grants = store.map(|store| Arc::clone(store) as Arc<dyn GrantStore>);
    HttpSource::new(manifest(), config(peer, &[]), client, grants).unwrap()
}

/// An application that rotates refresh tokens, and refuses one that was used before.
async fn rotating(store: &Store) -> Peer {
    let log = Arc::clone(&store.log);
    let current = Arc::new(Mutex::new(1));
    Peer::answering(move |_, call| {
        let mut current = current.lock();
        log.lock().push(call.uri.clone());
        if call.uri != "/token" {
            let good = header(call, "authorization") == format!("Bearer a{current}");
            return if good { ok(&json!({"users": [{"id": "1"}]})) } else { respond(401, &[], "{}") };
        }
        if form(call)["refresh_token"] != format!("r{current}-canary") {
            let why = format!("{} was used before", form(call)["refresh_token"]);
            return respond(400, &[], json!({"error": "invalid_grant", "error_description": why}).to_string());
        }
        *current += 1;
        let (access, refresh) = (format!("a{current}"), format!("r{current}-canary"));
        ok(&json!({"access_token": access, "refresh_token": refresh, "expires_in": 600, "refresh_expires_in": 5000}))
    })
    .await
}

#[tokio::test]
async fn without_consent_there_is_no_token() {
    let peer = Peer::always(200, json!({})).await;
    for store in [None, Some(Store::of(None))] {
        let error = ids(&consented(&peer, store.as_ref(), &client())).await.unwrap_err();
        assert_eq!((error.class, error.definite), (ErrorClass::Token, true));
        assert!(error.message.contains("Nobody has given consent"), "{error}");
    }
    assert!(peer.calls().is_empty());
}

#[tokio::test]
async fn a_grant_that_lasts_is_used_as_it_is() {
    for end in [None, Some(NOW + 61_000)] {
        let store = Store::of(Some(grant(end)));
        let peer = rotating(&store).await;
        ids(&consented(&peer, Some(&store), &client())).await.unwrap();
        assert_eq!(peer.uris(), ["/users/7"]);
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_is_stored_before_the_access_token_is_used() {
    let store = Store::of(Some(grant(Some(NOW + 59_000))));
    let peer = rotating(&store).await;
    ids(&consented(&peer, Some(&store), &client())).await.unwrap();
    assert_eq!(store.log(), ["/token", "stored a2", "/users/7"]);
    let call = &peer.calls()[0];
    let expected = [("grant_type", "refresh_token"), ("refresh_token", "r1-canary"), ("resource", "api")];
    assert_eq!(form(call), pairs(expected));
    assert!(header(call, "authorization").starts_with("Basic "));
    let grant = store.grant();
    assert_eq!((grant.access_token.as_str(), grant.refresh_token.as_deref()), ("a2", Some("r2-canary")));
    assert_eq!((grant.expires_at, grant.refresh_expires_at), (Some(NOW + 600_000), Some(NOW + 5_000_000)));
    assert_eq!(grant.found["org"], "7");
}

#[tokio::test]
async fn what_a_renewal_does_not_repeat_stays() {
    let store = Store::of(Some(grant(Some(NOW))));
    let peer = application(vec![(200, json!({"access_token": "a2"}))], &["a2"]).await;
    ids(&consented(&peer, Some(&store), &client())).await.unwrap();
    let grant = store.grant();
    assert_eq!((grant.access_token.as_str(), grant.refresh_token.as_deref()), ("a2", Some("r1-canary")));
    assert_eq!((grant.expires_at, grant.refresh_expires_at), (None, Some(NOW + 1_000_000)));
    assert_eq!(grant.found["org"], "7");
}

#[tokio::test]
async fn a_refused_access_token_is_renewed_once() {
    let store = Store::of(Some(Grant { access_token: "old".to_owned(), ..grant(None) }));
    let peer = rotating(&store).await;
    ids(&consented(&peer, Some(&store), &client())).await.unwrap();
    assert_eq!(store.log(), ["/users/7", "/token", "stored a2", "/users/7"]);
}

#[tokio::test]
async fn what_another_process_renewed_is_used() {
    let store = Store::of(Some(grant(None)));
    let peer = rotating(&store).await;
    let source = consented(&peer, Some(&store), &client());
    ids(&source).await.unwrap();
    // Another process renews, while this one still has a1.
    let other = consented(&peer, Some(&store), &client());
    let policy = RetryPolicy::default();
    let held = other.connection.tokens.current(&policy).await.unwrap().unwrap();
    other.connection.tokens.renew(&held, &policy).await.unwrap().unwrap();
    ids(&source).await.unwrap();
    assert_eq!(store.log(), ["/users/7", "/token", "stored a2", "/users/7", "/users/7"]);
}

#[tokio::test]
async fn a_refresh_token_that_was_used_before_ends_the_grant() {
    let stolen = Grant { refresh_token: Some("r0-canary".to_owned()), ..grant(Some(NOW)) };
    let store = Store::of(Some(stolen));
    let peer = rotating(&store).await;
    let error = ids(&consented(&peer, Some(&store), &client())).await.unwrap_err();
    assert_eq!((error.class, error.definite, error.http_status), (ErrorClass::Token, true, Some(400)));
    assert!(error.message.contains("invalid_grant") && error.message.contains("used before"), "{error}");
    assert!(!error.message.contains("canary"), "{error}");
    assert_eq!(peer.uris(), ["/token"]);
}

#[tokio::test]
async fn a_grant_that_cannot_be_renewed_ends() {
    let unrenewable = |end| Some(Grant { refresh_token: None, ..grant(end) });
    let store = Store::of(unrenewable(Some(NOW)));
    let peer = rotating(&store).await;
    let error = ids(&consented(&peer, Some(&store), &client())).await.unwrap_err();
    assert_eq!((error.class, error.definite), (ErrorClass::Token, true));
    assert!(error.message.contains("cannot be renewed"), "{error}");
    assert!(peer.calls().is_empty());

    // It is used until it ends.
    let store = Store::of(unrenewable(Some(NOW + 1000)));
    let peer = rotating(&store).await;
    ids(&consented(&peer, Some(&store), &client())).await.unwrap();

    // If the application refuses it, the error is not definite.
    let store = Store::of(Some(Grant { access_token: "old".to_owned(), refresh_token: None, ..grant(None) }));
    let peer = rotating(&store).await;
    let error = ids(&consented(&peer, Some(&store), &client())).await.unwrap_err();
    assert_eq!((error.class, error.definite), (ErrorClass::Token, false));
    assert_eq!(peer.uris(), ["/users/7"]);
}

#[tokio::test]
async fn trouble_leaves_the_grant_alone_and_the_refresh_token_is_not_sent_twice() {
    let store = Store::of(Some(grant(Some(NOW))));
    let peer = Peer::always(503, json!({"error": "invalid_grant"})).await;
    let error = ids(&consented(&peer, Some(&store), &client())).await.unwrap_err();
    assert_eq!((error.class, error.definite), (ErrorClass::Transient, false));
    assert_eq!(peer.uris(), ["/token"]);
    assert_eq!(store.grant().refresh_token.as_deref(), Some("r1-canary"));
}

/// A network that fails with these errors, last one first, and then returns a token. Counts the requests.
struct Failing(Mutex<Vec<TransportError>>, Mutex<usize>);

#[async_trait]
impl Transport for Failing {
    async fn send(&self, _: Sent, _: &mut Share) -> Result<Received, TransportError> {
        *self.1.lock() += 1;
        if let Some(error) = self.0.lock().pop() {
            return Err(error);
        }
        let body = json!({"access_token": "a2", "users": []}).to_string().into_bytes();
        Ok(Received { status: reqwest::StatusCode::OK, headers: HeaderMap::new(), body })
    }
}

#[tokio::test]
async fn a_refresh_token_is_sent_again_only_if_it_cannot_have_arrived() {
    use TransportError::{BrokeOff, TimedOut, Tls, Unreachable, Unresolved};
    let peer = Peer { origin: "http://127.0.0.1:1".to_owned(), calls: Arc::default() };
    for (errors, calls) in [
        // Two failures, a renewal and a list.
        (vec![Unresolved, Unreachable], 4),
        (vec![BrokeOff], 1),
        (vec![TimedOut], 1),
        (vec![Tls], 1),
        (vec![BrokeOff, Unreachable], 2),
    ] {
        let store = Store::of(Some(grant(Some(NOW))));
        let network = Arc::new(Failing(Mutex::new(errors.clone()), Mutex::default()));
        let client = Client::with_transport(Arc::clone(&network) as Arc<dyn Transport>, settings());
        let outcome = ids(&consented(&peer, Some(&store), &client)).await;
        assert_eq!(*network.1.lock(), calls, "{errors:?}");
        assert_eq!(outcome.is_ok(), calls == 4, "{errors:?}");
    }
}

#[tokio::test]
async fn a_renewal_goes_on_when_nobody_waits_for_it_any_more() {
    /// A network that reports a request, and answers when it is notified.
    struct Slow(Notify, Notify);

    #[async_trait]
    impl Transport for Slow {
        async fn send(&self, _: Sent, _: &mut Share) -> Result<Received, TransportError> {
            self.0.notify_one();
            self.1.notified().await;
            let body = json!({"access_token": "a2", "refresh_token": "r2"}).to_string().into_bytes();
            Ok(Received { status: reqwest::StatusCode::OK, headers: HeaderMap::new(), body })
        }
    }

    let peer = Peer { origin: "http://127.0.0.1:1".to_owned(), calls: Arc::default() };
    let store = Store::of(Some(grant(Some(NOW))));
    let network = Arc::new(Slow(Notify::new(), Notify::new()));
    let source =
        consented(&peer, Some(&store), &Client::with_transport(Arc::clone(&network) as Arc<dyn Transport>, settings()));
    let caller = tokio::spawn(async move { ids(&source).await });
    network.0.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    network.1.notify_one();
    until("the new grant is stored", || store.grant().refresh_token.as_deref() == Some("r2")).await;
}
