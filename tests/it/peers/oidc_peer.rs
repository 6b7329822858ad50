//! The authorization server of `tests/peers/oidc.mjs`, and the application beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Script;
use crate::support::http;

/// An application whose five users are listed with a token of a real authorization server.
pub struct Oidc {
    /// What its addresses begin with: `/auth`, `/token`, `/api/users`.
    pub origin: String,
    control: String,
    /// Follows no redirects.
    http: reqwest::Client,
    _script: Script,
}

/// One request to the token endpoint, and what became of it.
#[derive(Debug, Deserialize)]
pub struct TokenRequest {
    pub grant_type: String,
    /// How the client proved who it is: `basic`, `body`, `private_key_jwt` or `none`.
    pub auth: String,
    pub scope: Option<String>,
    pub status: u16,
    pub error: Option<String>,
    /// Which refresh token was presented, counted from the first that was ever issued.
    pub presented: Option<i64>,
    /// Which refresh token was issued.
    pub issued: Option<i64>,
}

impl Oidc {
    pub fn start() -> Oidc {
        let script = Script::node("oidc.mjs", &[]);
        let _ = http();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
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

    /// How long the access tokens are good that are made from now on.
    pub async fn lifetime(&self, seconds: u32) {
        self.put("lifetime", &seconds.to_string()).await;
    }

    /// All access tokens end now, whatever was said about them.
    pub async fn expire(&self) {
        self.put("expire", "").await;
    }

    /// Everything that anybody consented to ends now.
    pub async fn revoke(&self) {
        self.put("revoke", "").await;
    }

    /// Somebody else presents a refresh token that was used before.
    pub async fn replay(&self) {
        self.put("replay", "").await;
    }

    /// People decline from now on.
    pub async fn deny(&self) {
        self.put("consent", "deny").await;
    }

    /// The application shows the data of somebody else from now on.
    pub async fn tenant(&self, name: &str) {
        self.put("tenant", name).await;
    }

    /// Goes where a person's browser would go, cookies and all, until an address begins with
    /// `stop`; gives that address, which is not called.
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
