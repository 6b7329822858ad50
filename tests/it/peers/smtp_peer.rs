//! The SMTP server of `tests/peers/smtp.py`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Script;
use crate::support::{DEADLINE, http};

/// A mail server that stores the mails that it accepts.
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

    /// Starts it on the port of an earlier one.
    pub fn start_at(port: u16) -> Smtp {
        Self::run(&[port.to_string()])
    }

    /// Starts one that takes mail after STARTTLS only, with this certificate and key.
    pub fn start_with_tls((certificate, key): &(PathBuf, PathBuf)) -> Smtp {
        Self::run(&["0".into(), certificate.display().to_string(), key.display().to_string()])
    }

    fn run(arguments: &[String]) -> Smtp {
        let script = Script::python("smtp.py", arguments);
        let ports: Value = serde_json::from_str(&script.first_line).unwrap();
        let port = |name: &str| u16::try_from(ports[name].as_u64().unwrap()).unwrap();
        Smtp { port: port("smtp"), control: port("control"), http: http(), _script: script }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value for `MUSTER_SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Sets its mode; the script lists them.
    pub async fn mode(&self, mode: &str) {
        self.get(&format!("mode/{mode}")).await;
    }

    /// The accepted messages, in order.
    pub async fn messages(&self) -> Vec<Value> {
        self.messages_from(0).await
    }

    /// The same without the first ones.
    pub async fn messages_from(&self, first: usize) -> Vec<Value> {
        match self.get(&format!("messages/{first}")).await {
            Value::Array(messages) => messages,
            other => panic!("{other}"),
        }
    }

    /// Waits until there are this many messages, and returns them.
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

/// The value of a header that occurs once in the message.
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

/// The recipient of the message, in lower case.
pub fn recipient(message: &Value) -> String {
    let to = message["to"].as_array().unwrap();
    assert_eq!(to.len(), 1, "one address a message");
    to[0].as_str().unwrap().to_lowercase()
}
