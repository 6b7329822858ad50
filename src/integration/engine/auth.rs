//! What signs a call.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use crate::integration::manifest::{Auth, Manifest};
use crate::integration::source::Config;

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
        let mut headers = HeaderMap::new();
        let mut query = Vec::new();
        let mut secrets: Vec<String> = (manifest.config.iter())
            .filter(|field| field.value.secret())
            .filter_map(|field| config.get(&field.value.key).cloned())
            .collect();
        match &manifest.auth.value {
            Auth::None => {}
            Auth::Bearer(token) => {
                headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expand(config)))?);
            }
            Auth::Basic(basic) => {
                let pair = format!("{}:{}", basic.username.expand(config), basic.password.expand(config));
                let encoded = BASE64_STANDARD.encode(pair);
                headers.insert(AUTHORIZATION, sensitive(&format!("Basic {encoded}"))?);
                secrets.push(encoded);
            }
            Auth::Header(named) => {
                for (name, value) in named {
                    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable)?;
                    headers.insert(name, sensitive(&value.expand(config))?);
                }
            }
            Auth::Query(named) => {
                query.extend(named.iter().map(|(name, value)| (name.clone(), value.expand(config))));
            }
        }
        let encoded: Vec<String> =
            secrets.iter().map(|secret| form_urlencoded::byte_serialize(secret.as_bytes()).collect()).collect();
        secrets.extend(encoded);
        // The longest first: a secret may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Ok(Self { headers, query, secrets })
    }

    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// Signs a call.
    pub fn sign(&self, url: &mut Url, headers: &mut HeaderMap) {
        headers.extend(self.headers.clone());
        if !self.query.is_empty() {
            self.strip(url);
            url.query_pairs_mut().extend_pairs(&self.query);
        }
    }

    /// Takes the credential out of an address that the application gave, so that
    /// it is not kept in a checkpoint.
    pub fn strip(&self, url: &mut Url) {
        let ours = |name: &str| self.query.iter().any(|(own, _)| own == name);
        if !url.query_pairs().any(|(name, _)| ours(&name)) {
            return;
        }
        let rest: Vec<_> =
            url.query_pairs().filter(|(name, _)| !ours(name)).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        url.set_query(None);
        if !rest.is_empty() {
            url.query_pairs_mut().extend_pairs(rest);
        }
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Unsendable)?;
    value.set_sensitive(true);
    Ok(value)
}
