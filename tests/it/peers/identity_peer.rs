//! The identity providers of `tests/peers/identity.mjs`, which is a real one, and `tests/peers/liar.mjs`.

use serde_json::Value;

use super::Script;
use crate::support::http;

/// An identity provider with one person.
pub struct IdentityProvider {
    /// Its issuer.
    pub origin: String,
    control: String,
    _script: Script,
}

impl IdentityProvider {
    pub fn start() -> Self {
        Self::of(Script::node("identity.mjs", &[]))
    }

    /// One that tells lies.
    pub fn liar() -> Self {
        Self::of(Script::node("liar.mjs", &[]))
    }

    fn of(script: Script) -> Self {
        Self { origin: script.address("origin"), control: script.address("control"), _script: script }
    }

    /// Changes something: `person`, `place`, `key` or `lie`.
    pub async fn put(&self, what: &str, body: impl ToString) {
        let answer = http().put(format!("{}/{what}", self.control)).body(body.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
    }

    /// What the liar knows: `lies`, `first-lies`, `secrets` or `asked`.
    pub async fn get(&self, what: &str) -> Value {
        let answer = http().get(format!("{}/{what}", self.control)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}
