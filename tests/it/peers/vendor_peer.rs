//! The fake applications of `tests/peers/fakes.mjs`, each behind its vendor's own document.

use serde::Deserialize;
use serde_json::Value;

use super::Script;
use crate::support::http;

/// A vendor's application with eight people, of whom it shows at most three a page.
pub struct Vendor {
    /// Where it serves.
    pub origin: String,
    /// The vendor's address, for which it stands.
    pub plays: String,
    control: String,
    http: reqwest::Client,
    _script: Script,
}

/// What the vendor's document has to say about the calls so far, and about their answers.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// How many calls agreed with it, and were answered as it says.
    pub judged: u64,
    /// What did not agree, as Prism says it.
    pub violations: Vec<Value>,
    /// Parameters that it does not declare.
    pub undeclared: Vec<String>,
    /// Calls that it says nothing about.
    pub outside: Vec<String>,
}

impl Vendor {
    /// One of those in `tests/peers/specs`.
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

    /// From now on its records are not as the vendor's document says.
    pub async fn spoil(&self) {
        let answer = self.http.put(format!("{}/spoil", self.control)).send().await.unwrap();
        assert!(answer.status().is_success());
    }
}
