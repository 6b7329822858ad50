//! What is asked of the identity provider: its metadata, its keys, a token for a code, and more about a person.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration::engine::{Body, Client, ClientSettings, Request, Response, TransportError};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::Why;
use super::token::{Claims, Keys};
use crate::config::OidcSettings;

/// The largest response, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// How long a response may take, from connecting to its last byte.
const RESPONSE: Duration = Duration::from_secs(10);
/// How long metadata and keys are used before they are read again.
const FRESH: Duration = Duration::from_hours(1);
/// How long a failure to read the metadata is remembered, so that strangers cannot have us ask all the time.
const FAILED: Duration = Duration::from_secs(1);
/// How long after reading the keys an unknown key makes us read them again.
const UNKNOWN_KEY: Duration = Duration::from_secs(5);
/// Networks in which a company may run its own identity provider.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

/// What was read, and when.
type Known<T> = Option<(Instant, T)>;

/// The identity provider.
pub struct Provider {
    settings: Arc<OidcSettings>,
    issuer: Url,
    /// For the host of the issuer.
    own: Client,
    /// For other hosts that the metadata names.
    others: Client,
    metadata: Mutex<Known<Result<Arc<Metadata>, String>>>,
    keys: Mutex<Known<Keys>>,
}

/// What it publishes about itself (OpenID Connect Discovery, 3).
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    userinfo_endpoint: Option<Url>,
    /// Where a person signs out (OpenID Connect RP-Initiated Logout, 2.1). Nobody needs it to sign in, so what is not an
    /// address counts as left out.
    end_session_endpoint: Option<Value>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether every answer names the issuer (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

/// The tokens for a code.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: String,
    access_token: Option<String>,
}

impl Provider {
    /// `client` has the settings with which applications are called.
    ///
    /// # Errors
    /// One line for the person who starts the server.
    pub fn new(settings: &Arc<OidcSettings>, client: ClientSettings) -> Result<Self, String> {
        let issuer = Url::parse(&settings.issuer).map_err(|error| format!("setting oidc_issuer: {error}"))?;
        let client = ClientSettings {
            connect_timeout: RESPONSE / 2,
            idle_timeout: RESPONSE,
            call_timeout: RESPONSE,
            page_bytes: MAX_ANSWER,
            ..client
        };
        let mut own = client.clone();
        own.allowed_networks.extend(PRIVATE.iter().filter_map(|network| network.parse::<IpNet>().ok()));
        let build = |client| Client::new(client).map_err(|error| format!("HTTP client: {error}"));
        let (own, others) = (build(own)?, build(client)?);
        Ok(Self { settings: settings.clone(), issuer, own, others, metadata: Mutex::default(), keys: Mutex::default() })
    }

    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Why> {
        let mut known = self.metadata.lock().await;
        let lasts = |outcome: &Result<_, _>| if outcome.is_ok() { FRESH } else { FAILED };
        if let Some((_, outcome)) = known.as_ref().filter(|(at, outcome)| at.elapsed() < lasts(outcome)) {
            return outcome.clone().map_err(Why::Unreachable);
        }
        let outcome = self.discover().await.map(Arc::new);
        *known = Some((Instant::now(), outcome.clone()));
        outcome.map_err(Why::Unreachable)
    }

    async fn discover(&self) -> Result<Metadata, String> {
        let issuer = &self.settings.issuer;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let address = Url::parse(&address).map_err(|_| "the address of its metadata cannot be built")?;
        let metadata = self.get(&address, HeaderMap::new()).await.map_err(|error| format!("its metadata: {error}"))?;
        let metadata: Metadata = serde_json::from_slice(&metadata).map_err(|_| "its metadata cannot be read")?;
        if metadata.issuer != *issuer {
            return Err("its metadata is that of another issuer; oidc_issuer must be written exactly as there".into());
        }
        let Metadata { authorization_endpoint, token_endpoint, jwks_uri, userinfo_endpoint, .. } = &metadata;
        let endpoints = [authorization_endpoint, token_endpoint, jwks_uri].into_iter().chain(userinfo_endpoint);
        for endpoint in endpoints {
            if !is_plain(endpoint, self.issuer.scheme()) {
                return Err("its metadata has an endpoint that is no plain address of the issuer's scheme".into());
            }
        }
        Ok(metadata)
    }

    /// Its keys. They are read again if this one is not among them, but not all the time.
    pub(super) async fn keys_with(&self, id: &str) -> Result<Keys, Why> {
        let metadata = self.metadata().await?;
        let mut known = self.keys.lock().await;
        if let Some((at, keys)) = known.as_ref() {
            let lasts = if keys.has(id) { FRESH } else { UNKNOWN_KEY };
            if at.elapsed() < lasts {
                return Ok(keys.clone());
            }
        }
        let document = self.get(&metadata.jwks_uri, HeaderMap::new()).await;
        let document = document.map_err(|error| Why::Unreachable(format!("its keys: {error}")))?;
        let keys = Keys::read(&document).map_err(|reason| Why::Untrusted(reason.to_owned()))?;
        *known = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }

    /// Exchanges a code for tokens.
    pub(super) async fn exchange(&self, code: &str, verifier: &str, redirect_uri: &str) -> Result<Tokens, Why> {
        let metadata = self.metadata().await?;
        let (id, secret) = (&self.settings.client_id, self.settings.client_secret.as_deref());
        let mut headers = HeaderMap::new();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        match secret {
            Some(secret) if metadata.takes_basic() => {
                headers.insert(AUTHORIZATION, basic(id, secret).ok_or_else(unusable_secret)?);
            }
            Some(secret) => form.extend([("client_id", id.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", id)),
        }
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = Request::with_body(metadata.token_endpoint.clone(), headers, Some(Body::Form(form)));
        let response = self.send(request).await.map_err(|error| Why::Unreachable(format!("its tokens: {error}")))?;
        if !response.status.is_success() {
            return Err(Why::Untrusted(refusal(&response)));
        }
        let body = json(response).map_err(|reason| Why::Untrusted(format!("its tokens: {reason}")))?;
        serde_json::from_slice(&body).map_err(|_| Why::Untrusted("it sent no ID token for the code".into()))
    }

    /// What the userinfo endpoint says about the person; `None` if there is no such endpoint.
    pub(super) async fn userinfo(&self, tokens: &Tokens, subject: &str) -> Result<Option<Claims>, Why> {
        let metadata = self.metadata().await?;
        let (Some(endpoint), Some(token)) = (&metadata.userinfo_endpoint, &tokens.access_token) else {
            return Ok(None);
        };
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        let bearer = secret_header(&bearer).ok_or_else(|| Why::Untrusted("its access token is not readable".into()))?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let body = self.get(endpoint, headers).await;
        let body = body.map_err(|error| Why::Unreachable(format!("its userinfo endpoint: {error}")))?;
        let claims: Claims = serde_json::from_slice(&body)
            .map_err(|_| Why::Untrusted("the answer of its userinfo endpoint cannot be read".into()))?;
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(Why::Untrusted("its userinfo endpoint speaks of somebody else".into()));
        }
        Ok(Some(claims))
    }

    /// The body of a successful response that is JSON.
    async fn get(&self, url: &Url, mut headers: HeaderMap) -> Result<Vec<u8>, String> {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.send(Request::get(url.clone(), headers)).await.map_err(|error| error.to_string())?;
        if !response.status.is_success() {
            return Err(format!("it answered with status {}", response.status.as_u16()));
        }
        json(response)
    }

    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let is_own = request.url.host() == self.issuer.host();
        let client = if is_own { &self.own } else { &self.others };
        client.send(request).await
    }
}

impl Metadata {
    /// The page on which a person signs out, if there is one that can be shown.
    pub(super) fn sign_out_page(&self, client_id: &str) -> Option<Url> {
        let issuer = Url::parse(&self.issuer).ok()?;
        let mut page = Url::parse(self.end_session_endpoint.as_ref()?.as_str()?).ok()?;
        if !is_plain(&page, issuer.scheme()) {
            return None;
        }
        page.query_pairs_mut().append_pair("client_id", client_id);
        Some(page)
    }

    /// Whether it takes the client's secret in a header, which is the default.
    fn takes_basic(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }
}

/// Whether an address has this scheme, and neither somebody's name nor a fragment.
fn is_plain(address: &Url, scheme: &str) -> bool {
    let is_bare = address.username().is_empty() && address.password().is_none() && address.fragment().is_none();
    is_bare && address.scheme() == scheme
}

fn json(response: Response) -> Result<Vec<u8>, String> {
    let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind == "application/jwk-set+json" {
        Ok(response.body)
    } else {
        Err("its answer is not JSON".into())
    }
}

/// The credentials of the client (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> Option<HeaderValue> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
    secret_header(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

/// A header whose value libraries do not write to logs.
fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unusable_secret() -> Why {
    Why::Untrusted("the client secret of the settings cannot be sent".into())
}

/// Why the token endpoint refused a code. Only the errors of RFC 6749 (5.2) are repeated.
fn refusal(response: &Response) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
    }
    let known = ["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"];
    let error = serde_json::from_slice::<Answer>(&response.body).ok().map(|answer| answer.error);
    let error = error.filter(|error| known.contains(&error.as_str())).unwrap_or_else(|| "no known error".into());
    format!("it refused the code with status {} ({error})", response.status.as_u16())
}
