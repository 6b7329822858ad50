//! What signs a call.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use super::client::Call;
use super::token::Token;
use crate::manifest::Manifest;
use crate::manifest::auth::{Auth, Session};
use crate::manifest::template::Scope;
use crate::source::Config;

/// A piece of a secret that is shorter says nothing by itself, such as the kind of a key, in bytes.
const SHORTEST: usize = 16;

/// A connection's credential, ready to be put on calls. It has no `Debug`, so that it cannot be printed.
pub(super) struct Credential {
    headers: HeaderMap,
    query: Vec<(String, String)>,
    /// Every form in which a secret may come back in an answer.
    secrets: Vec<String>,
}

/// The setting cannot be sent: it has characters that a header does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the credential has characters in it that cannot be sent")]
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
            .flat_map(|secret| pieces(secret))
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
        Ok(Self { headers, query, secrets: masks(secrets) })
    }

    /// Every form in which a secret may come back in an answer.
    pub fn secrets(&self, token: Option<&Token>) -> Vec<String> {
        match token {
            Some(token) => masks(self.secrets.iter().cloned().chain([token.access.clone()]).collect()),
            None => self.secrets.clone(),
        }
    }

    /// Signs a call.
    pub fn sign(&self, auth: &Auth, config: &Config, call: &mut Call, token: Option<&Token>) -> Result<(), Unsendable> {
        call.headers.extend(self.headers.clone());
        if !self.query.is_empty() {
            self.strip(&mut call.url);
            call.url.query_pairs_mut().extend_pairs(&self.query);
        }
        let Some(token) = token else { return Ok(()) };
        if let Auth::Session(Session { cookie: Some(name), .. }) = auth {
            call.headers.insert(COOKIE, sensitive(&format!("{name}={}", token.access))?);
            return Ok(());
        }
        let named = auth.token_rules().map(|rules| rules.header).filter(|named| !named.is_empty());
        let Some(named) = named else {
            call.headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.access))?);
            return Ok(());
        };
        let scope = Scope { token: Some(&token.access), ..Scope::new(config, &token.found) };
        for (name, value) in named {
            call.headers.insert(header_name(name)?, sensitive(&value.expand(scope))?);
        }
        Ok(())
    }

    /// Takes the credential out of an address that the application gave, so that
    /// it is not kept in a checkpoint.
    pub fn strip(&self, url: &mut Url) {
        let secret = |value: &str| value.len() >= SHORTEST && self.secrets.iter().any(|secret| secret == value);
        let ours = |name: &str, value: &str| self.query.iter().any(|(own, _)| own == name) || secret(value);
        if !url.query_pairs().any(|(name, value)| ours(&name, &value)) {
            return;
        }
        let rest: Vec<_> = url
            .query_pairs()
            .filter(|(name, value)| !ours(name, value))
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
    }
}

/// A secret, and what an answer may repeat of one that is a JSON object or has several lines.
fn pieces(secret: &str) -> Vec<String> {
    let members = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(secret).unwrap_or_default();
    let members: Vec<String> = members.values().filter_map(|value| value.as_str().map(str::to_owned)).collect();
    let texts = members.into_iter().chain([secret.to_owned()]);
    texts
        .flat_map(|text| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.into_iter().chain([text])
        })
        .filter(|piece| piece.len() >= SHORTEST || piece == secret)
        .collect()
}

/// Secrets as they are and as parts of an address, the longest first: one may be a part of another.
fn masks(mut secrets: Vec<String>) -> Vec<String> {
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
