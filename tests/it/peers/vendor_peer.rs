//! The fake applications of `tests/peers/fakes.mjs`, checked against the vendors' API descriptions.

use serde::Deserialize;
use serde_json::Value;

use super::Script;
use crate::support::http;

/// A vendor's application with eight people and at most three per page.
pub struct Vendor {
    /// The origin at which it serves.
    pub origin: String,
    /// The vendor's origin that it replaces.
    pub plays: String,
    control: String,
    http: reqwest::Client,
    _script: Script,
}

/// The result of checking requests and responses against the vendor's document.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// How many requests and their responses conformed to it.
    pub judged: u64,
    /// The violations that Prism reported.
    pub violations: Vec<Value>,
    /// Parameters that the document does not declare.
    pub undeclared: Vec<String>,
    /// Requests that the document does not describe.
    pub outside: Vec<String>,
}

impl Vendor {
    /// Starts the vendor with this key in `tests/peers/specs`.
    pub fn start(key: &str) -> Vendor {
        let script = Script::node("fakes.mjs", &[key.to_owned()]);
        let address = |name: &str| script.address(name);
        Vendor {
            origin: address("origin"),
            plays: address("plays"),
            control: address("control"),
            http: http(),
            _script: script,
        }
    }

    pub async fn report(&self) -> Report {
        let answer = self.http.get(format!("{}/report", self.control)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Makes its records violate the vendor's document.
    pub async fn spoil(&self) {
        let answer = self.http.put(format!("{}/spoil", self.control)).send().await.unwrap();
        assert!(answer.status().is_success());
    }
}
