//! The authorization server of `tests/peers/oidc.mjs`, and its application.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Script;
use crate::support::patient_http;

/// An application with five users that accepts tokens of a real authorization server.
pub struct Oidc {
    /// The origin of `/auth`, `/token` and `/api/users`.
    pub origin: String,
    control: String,
    /// Follows no redirects.
    http: reqwest::Client,
    _script: Script,
}

/// A request to the token endpoint and its result.
#[derive(Debug, Deserialize)]
pub struct TokenRequest {
    pub grant_type: String,
    /// The client authentication: `basic`, `body`, `private_key_jwt` or `none`.
    pub auth: String,
    pub scope: Option<String>,
    pub status: u16,
    pub error: Option<String>,
    /// The number of the presented refresh token, in the order of issue.
    pub presented: Option<i64>,
    /// The number of the issued refresh token.
    pub issued: Option<i64>,
}

impl Oidc {
    pub fn start() -> Oidc {
        let script = Script::node("oidc.mjs", &[]);
        let http = patient_http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Oidc { origin: script.address("origin"), control: script.address("control"), http, _script: script }
    }

    /// All requests to the token endpoint, oldest first.
    pub async fn tokens(&self) -> Vec<TokenRequest> {
        serde_json::from_slice(&self.get("tokens").await).unwrap()
    }

    /// The private key of the client `key`, as PEM.
    pub async fn private_key(&self) -> String {
        serde_json::from_slice(&self.get("private-key").await).unwrap()
    }

    /// Sets the lifetime of new access tokens.
    pub async fn lifetime(&self, seconds: u32) {
        self.put("lifetime", &seconds.to_string()).await;
    }

    /// Invalidates all access tokens.
    pub async fn expire(&self) {
        self.put("expire", "").await;
    }

    /// Revokes all grants.
    pub async fn revoke(&self) {
        self.put("revoke", "").await;
    }

    /// Presents a refresh token again that was used before, as a thief would.
    pub async fn replay(&self) {
        self.put("replay", "").await;
    }

    /// Makes people decline from now on.
    pub async fn deny(&self) {
        self.put("consent", "deny").await;
    }

    /// Changes the tenant of the application.
    pub async fn tenant(&self, name: &str) {
        self.put("tenant", name).await;
    }

    /// Follows redirects like a browser with cookies, until an address begins with `stop`. Returns
    /// that address without requesting it.
    pub async fn browse(&self, from: &str, stop: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut address = reqwest::Url::parse(from).unwrap();
        for _ in 0..20 {
            let sent: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.http.get(address.clone()).header("cookie", sent.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(next) = answer.headers().get("location") else {
                panic!("{address} answers {}: {}", answer.status(), answer.text().await.unwrap());
            };
            address = address.join(next.to_str().unwrap()).unwrap();
            if address.as_str().starts_with(stop) {
                return address.to_string();
            }
        }
        panic!("redirected for ever, last to {address}");
    }

    async fn get(&self, what: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}/{what}", self.control)).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    async fn put(&self, what: &str, body: &str) {
        let answer = self.http.put(format!("{}/{what}", self.control)).body(body.to_owned()).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }
}
