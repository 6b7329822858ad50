//! Puts the credential on requests, and keeps it out of everything else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use super::client::Request;
use crate::grant::Grant;
use crate::manifest::Manifest;
use crate::manifest::auth::{Auth, Session};
use crate::manifest::template::Scope;
use crate::source::Config;

/// A token that ends sooner than this is renewed before it is used, in milliseconds.
pub(super) const RENEWAL_MARGIN_MS: i64 = 60_000;
/// A shorter part of a secret reveals nothing, such as the type of a key. In bytes.
const MIN_SECRET_PART: usize = 16;

/// A connection's credential, ready to be put on requests. It has no `Debug`, so that it cannot be printed.
pub(super) struct Credential {
    headers: HeaderMap,
    query: Vec<(String, String)>,
    /// Every form in which a secret may appear in a response.
    secrets: Vec<String>,
}

/// A token from a token endpoint or a login. It has no `Debug`, so that it cannot be printed.
pub(super) struct Token {
    /// The access token; for a session with a cookie, the cookie's value.
    pub access: String,
    /// Parts of the token response that templates use as `{{found.x}}`.
    pub found: BTreeMap<String, String>,
    /// When it must be renewed, in Unix milliseconds.
    pub renew_at: Option<i64>,
    /// In Unix milliseconds.
    pub obtained_at: i64,
    /// If it replaced a token that the application refused: how.
    pub after_refusal: Option<Replaced>,
}

/// How a token was obtained that replaced one which the application refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// This connection requested it.
    Requested,
    /// Another connection or process had renewed the stored grant. It may do so again, and some applications then
    /// refuse this token too.
    Stored,
}

impl Token {
    pub fn from_grant(grant: Grant, now: i64, after_refusal: Option<Replaced>) -> Self {
        // Half of the lifetime for short-lived tokens, which would otherwise be renewed for every request.
        let renew_at = grant.expires_at.map(|end| end - RENEWAL_MARGIN_MS.min((end - now).max(0) / 2));
        Self { access: grant.access_token, found: grant.found, renew_at, obtained_at: now, after_refusal }
    }
}

/// The setting contains characters that a header does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the credential contains characters that cannot be sent")]
pub(super) struct Unsendable;

impl Credential {
    pub fn new(manifest: &Manifest, config: &Config) -> Result<Self, Unsendable> {
        let none = BTreeMap::new();
        let scope = Scope::new(config, &none);
        let mut headers = HeaderMap::new();
        let mut query = Vec::new();
        let mut secrets: Vec<String> = (manifest.config.iter())
            .filter(|field| field.value.secret())
            .filter_map(|field| config.get(&field.value.key))
            .flat_map(|secret| secret_parts(secret))
            .collect();
        match &manifest.chosen(config).auth {
            Auth::Bearer(token) => {
                headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expand(scope)))?);
            }
            Auth::Basic(basic) => {
                let pair = format!("{}:{}", basic.username.expand(scope), basic.password.expand(scope));
                let encoded = BASE64_STANDARD.encode(pair);
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {encoded}"))?);
                secrets.push(encoded);
            }
            Auth::Header(named) => {
                for (name, value) in named {
                    headers.insert(header_name(name)?, sensitive(&value.expand(scope))?);
                }
            }
            Auth::Query(named) => {
                query.extend(named.iter().map(|(name, value)| (name.clone(), value.expand(scope))));
            }
            Auth::None
            | Auth::ClientCredentials(_)
            | Auth::AuthorizationCode(_)
            | Auth::JwtBearer(_)
            | Auth::Session(_) => {}
        }
        Ok(Self { headers, query, secrets: with_encoded(secrets) })
    }

    /// Every form in which a secret may appear in a response.
    pub fn secrets(&self, token: Option<&Token>) -> Vec<String> {
        match token {
            Some(token) => with_encoded(self.secrets.iter().cloned().chain([token.access.clone()]).collect()),
            None => self.secrets.clone(),
        }
    }

    pub fn sign(
        &self,
        auth: &Auth,
        config: &Config,
        request: &mut Request,
        token: Option<&Token>,
    ) -> Result<(), Unsendable> {
        request.headers.extend(self.headers.clone());
        if !self.query.is_empty() {
            self.strip(&mut request.url);
            request.url.query_pairs_mut().extend_pairs(&self.query);
        }
        let Some(token) = token else { return Ok(()) };
        if let Auth::Session(Session { cookie: Some(name), .. }) = auth {
            request.headers.insert(COOKIE, sensitive(&format!("{name}={}", token.access))?);
            return Ok(());
        }
        let named = auth.token_rules().map(|rules| rules.header).filter(|named| !named.is_empty());
        let Some(named) = named else {
            request.headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.access))?);
            return Ok(());
        };
        let scope = Scope { token: Some(&token.access), ..Scope::new(config, &token.found) };
        for (name, value) in named {
            request.headers.insert(header_name(name)?, sensitive(&value.expand(scope))?);
        }
        Ok(())
    }

    /// Removes the credential from a URL that the application sent, so that no checkpoint stores it.
    pub fn strip(&self, url: &mut Url) {
        let secret = |value: &str| value.len() >= MIN_SECRET_PART && self.secrets.iter().any(|secret| secret == value);
        let ours = |name: &str, value: &str| self.query.iter().any(|(own, _)| own == name) || secret(value);
        if !url.query_pairs().any(|(name, value)| ours(&name, &value)) {
            return;
        }
        let rest: Vec<_> = url
            .query_pairs()
            .filter(|(name, value)| !ours(name, value))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
    }
}

/// A secret, and the parts of it that a response may repeat: the members of a JSON object, and single lines.
fn secret_parts(secret: &str) -> Vec<String> {
    let members = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(secret).unwrap_or_default();
    let members: Vec<String> = members.values().filter_map(|value| value.as_str().map(str::to_owned)).collect();
    let texts = members.into_iter().chain([secret.to_owned()]);
    texts
        .flat_map(|text| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.into_iter().chain([text])
        })
        .filter(|part| part.len() >= MIN_SECRET_PART || part == secret)
        .collect()
}

/// Secrets in plain and URL-encoded form. The longest come first, because one may be part of another.
fn with_encoded(mut secrets: Vec<String>) -> Vec<String> {
    let encoded: Vec<String> =
        secrets.iter().map(|secret| form_urlencoded::byte_serialize(secret.as_bytes()).collect()).collect();
    secrets.extend(encoded);
    secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    secrets.dedup();
    secrets
}

fn header_name(name: &str) -> Result<HeaderName, Unsendable> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable)
}

fn sensitive(value: &str) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}
