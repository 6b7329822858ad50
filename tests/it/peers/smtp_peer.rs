//! The SMTP server of `tests/peers/smtp.py`.

use std::time::Duration;

use serde_json::Value;

use super::Script;
use crate::support::{DEADLINE, http};

/// A mail server that keeps what it accepts.
pub struct Smtp {
    port: u16,
    control: u16,
    http: reqwest::Client,
    _script: Script,
}

impl Smtp {
    pub fn start() -> Smtp {
        Self::start_at(0)
    }

    /// On a port that an earlier one had.
    pub fn start_at(port: u16) -> Smtp {
        let script = Script::python("smtp.py", &[port.to_string()]);
        let ports: Value = serde_json::from_str(&script.first_line).unwrap();
        let port = |name: &str| u16::try_from(ports[name].as_u64().unwrap()).unwrap();
        Smtp { port: port("smtp"), control: port("control"), http: http(), _script: script }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `MUSTER_SMTP_URL` is set to.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// How it answers from now on; the script has the list.
    pub async fn mode(&self, mode: &str) {
        self.get(&format!("mode/{mode}")).await;
    }

    /// What it has accepted, in order.
    pub async fn messages(&self) -> Vec<Value> {
        self.messages_from(0).await
    }

    /// The same without so many of the first.
    pub async fn messages_from(&self, first: usize) -> Vec<Value> {
        match self.get(&format!("messages/{first}")).await {
            Value::Array(messages) => messages,
            other => panic!("{other}"),
        }
    }

    /// Waits for as many messages, and gives them.
    pub async fn until(&self, count: usize) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let messages = self.messages().await;
            if messages.len() >= count {
                return messages;
            }
            assert!(tokio::time::Instant::now() < deadline, "{count} mails wanted; there are {messages:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("http://127.0.0.1:{}/{path}", self.control)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

/// The value of a header of a message; it stands there once.
pub fn header(message: &Value, name: &str) -> String {
    let found: Vec<_> = message["headers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found.len(), 1, "{name} in {message:#}");
    found[0].clone()
}

/// To whom the message went, in small letters.
pub fn recipient(message: &Value) -> String {
    let to = message["to"].as_array().unwrap();
    assert_eq!(to.len(), 1, "one address a message");
    to[0].as_str().unwrap().to_lowercase()
}
