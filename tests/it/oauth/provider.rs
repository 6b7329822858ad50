//! An application with its own authorization server. It grants every consent at once, rotates refresh tokens, and
//! revokes the grant when one is used twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, HeaderMap, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub const CLIENT: &str = "muster-client";
pub const SECRET: &str = "muster-client-secret";
/// An access token that a person created.
pub const TOKEN: &str = "a-lasting-token";

type Fields = BTreeMap<String, String>;

/// The provider. Clones share its state.
#[derive(Clone)]
pub struct Provider {
    /// The value for the setting `base_url`.
    pub url: String,
    state: Arc<Mutex<World>>,
    /// Notified when the list is requested while [`World::held`] is set.
    pub asked: Arc<Notify>,
}

/// Its data and its behaviour.
pub struct World {
    /// The tenant of the next consent.
    pub tenant: String,
    pub users: usize,
    /// In seconds. The client renews a minute earlier.
    pub expires_in: i64,
    pub refresh_expires_in: Option<i64>,
    /// The OAuth error with which the next consents fail.
    pub error: Option<String>,
    /// The expiry of [`TOKEN`] in Unix milliseconds, if the application reports it.
    pub token_ends: Option<i64>,
    /// Whether the list is refused because a permission is missing.
    pub forbidden: bool,
    /// Whether requests for the list are never answered.
    pub held: bool,
    /// How often refresh tokens were exchanged, and how often a used one was presented again.
    pub renewals: usize,
    pub reuses: usize,
    codes: BTreeMap<String, Code>,
    grants: Vec<Grant>,
    made: usize,
}

struct Code {
    challenge: String,
    redirect_uri: String,
    tenant: String,
}

struct Grant {
    tenant: String,
    alive: bool,
    access: BTreeSet<String>,
    refresh: String,
    used: BTreeSet<String>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = World {
            tenant: "acme".into(),
            users: 3,
            expires_in: 3600,
            refresh_expires_in: None,
            error: None,
            token_ends: None,
            forbidden: false,
            held: false,
            renewals: 0,
            reuses: 0,
            codes: BTreeMap::new(),
            grants: Vec::new(),
            made: 0,
        };
        let provider = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(world)),
            asked: Arc::default(),
        };
        let router = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/me", get(me))
            .route("/users", get(users))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.state.lock().unwrap()
    }

    /// Revokes every grant.
    pub fn revoke(&self) {
        self.world().grants.iter_mut().for_each(|grant| grant.alive = false);
    }

    /// The configuration that connects it.
    pub fn config(&self) -> Vec<(&str, &str)> {
        vec![("base_url", &self.url), ("client_id", CLIENT), ("client_secret", SECRET)]
    }
}

impl World {
    fn make(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}-{}-of-the-provider", self.made)
    }

    /// A token response with new tokens for the grant.
    fn tokens(&mut self, grant: usize) -> Json<Value> {
        let (access, refresh) = (self.make("access"), self.make("refresh"));
        let grant = &mut self.grants[grant];
        grant.access.insert(access.clone());
        grant.refresh.clone_from(&refresh);
        let mut answer = json!({ "access_token": access, "token_type": "Bearer", "expires_in": self.expires_in,
            "refresh_token": refresh });
        if let Some(seconds) = self.refresh_expires_in {
            answer["refresh_token_expires_in"] = seconds.into();
        }
        Json(answer)
    }

    /// The tenant of the access token.
    fn opened(&self, headers: &HeaderMap) -> Option<&str> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        if token == TOKEN {
            return Some(&self.tenant);
        }
        let grant = self.grants.iter().find(|grant| grant.alive && grant.access.contains(token))?;
        Some(&grant.tenant)
    }
}

async fn authorize(State(provider): State<Provider>, Query(query): Query<Fields>) -> Response {
    let mut world = provider.world();
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    if of("client_id") != CLIENT || of("response_type") != "code" || of("code_challenge_method") != "S256" {
        return (StatusCode::BAD_REQUEST, "no such client").into_response();
    }
    let mut back = url::Url::parse(&of("redirect_uri")).unwrap();
    if let Some(error) = world.error.clone() {
        back.query_pairs_mut().append_pair("error", &error).append_pair("error_description", "<b>no</b>");
    } else {
        let code = world.make("code");
        let tenant = world.tenant.clone();
        let kept = Code { challenge: of("code_challenge"), redirect_uri: of("redirect_uri"), tenant };
        world.codes.insert(code.clone(), kept);
        back.query_pairs_mut().append_pair("code", &code).append_pair("iss", &provider.url);
    }
    back.query_pairs_mut().append_pair("state", &of("state"));
    (StatusCode::FOUND, [(LOCATION, String::from(back))]).into_response()
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn token(State(provider): State<Provider>, headers: HeaderMap, Form(form): Form<Fields>) -> Response {
    let mut world = provider.world();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    if headers.get(AUTHORIZATION).is_none_or(|given| *given != basic) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    match of("grant_type").as_str() {
        "authorization_code" => {
            let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, of("code_verifier").as_bytes()));
            let code = world.codes.remove(&of("code"));
            let fits = |code: &Code| code.challenge == challenge && code.redirect_uri == of("redirect_uri");
            let Some(code) = code.filter(fits) else { return refused(StatusCode::BAD_REQUEST, "invalid_grant") };
            world.grants.push(Grant {
                tenant: code.tenant,
                alive: true,
                access: BTreeSet::new(),
                refresh: String::new(),
                used: BTreeSet::new(),
            });
            let grant = world.grants.len() - 1;
            world.tokens(grant).into_response()
        }
        "refresh_token" => {
            let given = of("refresh_token");
            if let Some(grant) = world.grants.iter_mut().find(|grant| grant.used.contains(&given)) {
                grant.alive = false;
                world.reuses += 1;
                return refused(StatusCode::BAD_REQUEST, "invalid_grant");
            }
            let Some(found) = world.grants.iter().position(|grant| grant.alive && grant.refresh == given) else {
                return refused(StatusCode::BAD_REQUEST, "invalid_grant");
            };
            world.renewals += 1;
            world.grants[found].used.insert(given);
            world.grants[found].access.clear();
            world.tokens(found).into_response()
        }
        _ => refused(StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    }
}

async fn me(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    match provider.world().opened(&headers) {
        Some(tenant) => Json(json!({ "tenant": tenant })).into_response(),
        None => refused(StatusCode::UNAUTHORIZED, "invalid_token"),
    }
}

async fn users(State(provider): State<Provider>, headers: HeaderMap, uri: Uri) -> Response {
    let (held, forbidden, opened, users) = {
        let world = provider.world();
        (world.held, world.forbidden, world.opened(&headers).is_some(), world.users)
    };
    let token_ends = provider.world().token_ends;
    if held {
        provider.asked.notify_one();
        std::future::pending::<()>().await;
    }
    if !opened {
        return refused(StatusCode::UNAUTHORIZED, "invalid_token");
    }
    if forbidden {
        let body = json!({ "error": "forbidden", "needed": "directory.read" });
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    assert!(uri.query().is_none(), "{uri}");
    let people: Vec<_> = (1..=users)
        .map(|number| json!({ "id": format!("u{number}"), "mail": format!("u{number}@example.com") }))
        .collect();
    let mut answer = Json(json!({ "users": people })).into_response();
    if let Some(at) = token_ends {
        answer.headers_mut().insert("x-token-ends", at.into());
    }
    answer
}

/// Its manifest, for a file `consenting.yaml`.
pub const MANIFEST: &str = r#"
name: Consenting
category: productivity
description: An application that asks a person for their consent.
required_permissions: [directory.read]
setup: |
  Register an app.
config:
  - {key: base_url, label: Address, type: url}
  - {key: client_id, label: Client ID, type: text}
  - {key: client_secret, label: Client secret, type: secret}
  - {key: token, label: Token, type: secret}
base_url: "{{config.base_url}}"
tenant: "{{found.tenant}}"
auth:
  - key: consent
    label: Consent
    oauth2_authorization_code:
      authorize_url: "{{config.base_url}}/authorize"
      token_url: "{{config.base_url}}/token"
      client_id: "{{config.client_id}}"
      client_secret: "{{config.client_secret}}"
      scopes: [directory.read]
  - key: token
    label: Token
    bearer: "{{config.token}}"
identify:
  path: /me
  keep: {tenant: $.tenant}
credential_expires_at: {header: X-Token-Ends, format: epoch_ms}
users:
  path: /users
  pages: none
  records: $.users
  map:
    external_id: $.id
    email: $.mail
    status: active
error_details:
  permission: [$.needed]
"#;
