//! The SCIM server of `tests/peers/scim.py`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::Script;
use crate::support::http;

/// An application that speaks SCIM 2.0.
pub struct Scim {
    /// The value for `base_url`.
    pub base_url: String,
    pub token: String,
    /// The number of users that was set last.
    users: AtomicU32,
    http: reqwest::Client,
    _script: Script,
}

impl Scim {
    /// Starts it with the users 1 to `users` and further options of the script.
    pub fn start(users: u32, options: &[&str]) -> Scim {
        let token = "scim-secret-7f3a".to_owned();
        let mut arguments = vec![format!("--users={users}"), format!("--token={token}")];
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        let script = Script::python("scim.py", &arguments);
        Scim { base_url: script.first_line.clone(), token, users: AtomicU32::new(users), http: http(), _script: script }
    }

    /// The same over TLS, with this certificate and its key.
    pub fn start_with_tls(users: u32, (certificate, key): &(PathBuf, PathBuf)) -> Scim {
        Self::start(users, &["--tls", &certificate.display().to_string(), &key.display().to_string()])
    }

    /// The configuration that connects it.
    pub fn config(&self) -> [(&str, &str); 2] {
        [("base_url", &self.base_url), ("token", &self.token)]
    }

    /// Sets the only accepted token.
    pub async fn accept_only(&mut self, token: &str) {
        self.control("token", token).await;
        token.clone_into(&mut self.token);
    }

    /// Sets its users to 1 to `count`.
    pub async fn set_users(&self, count: u32) {
        self.users.store(count, Ordering::SeqCst);
        self.control("users", &count.to_string()).await;
    }

    /// The number of users that was set last.
    pub fn users(&self) -> u32 {
        self.users.load(Ordering::SeqCst)
    }

    async fn control(&self, what: &str, body: &str) {
        let url = format!("{}/control/{what}", self.base_url.trim_end_matches("/v2"));
        let answer = self.http.put(url).body(body.to_owned()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// How many SCIM requests it has received.
    pub async fn calls(&self) -> u64 {
        let url = format!("{}/control/requests", self.base_url.trim_end_matches("/v2"));
        self.http.get(url).send().await.unwrap().text().await.unwrap().parse().unwrap()
    }

    /// Removes a user, as an administrator of the application would.
    pub async fn delete(&self, id: &str) {
        self.call(reqwest::Method::DELETE, &format!("/Users/{id}"), None).await;
    }

    /// Disables a user, as an administrator of the application would.
    pub async fn deactivate(&self, id: &str) {
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{ "op": "replace", "path": "active", "value": false }],
        });
        self.call(reqwest::Method::PATCH, &format!("/Users/{id}"), Some(patch)).await;
    }

    /// Adds a user, as an administrator of the application would.
    pub async fn add(&self, name: &str) {
        let address = format!("{name}@example.com");
        let user = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": address,
            "displayName": format!("New {name}"),
            "emails": [{ "value": address, "type": "work", "primary": true }],
            "active": true,
        });
        self.call(reqwest::Method::POST, "/Users", Some(user)).await;
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) {
        let mut call = self.http.request(method, format!("{}{path}", self.base_url)).bearer_auth(&self.token);
        if let Some(body) = body {
            call = call.header("content-type", "application/scim+json").body(body.to_string());
        }
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
}
