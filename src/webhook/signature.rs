//! Secrets and signatures of messages, as the specification Standard Webhooks describes them (symmetric, `v1`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use crate::secrets::random;

/// The length of a secret in bytes. The specification allows from 24 to 64.
pub const SECRET_BYTES: usize = 32;
/// What the text of a secret begins with.
const LEAD: &str = "whsec_";

/// What the receiver and the server know.
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    #[expect(clippy::new_without_default, reason = "each value is different")]
    pub fn new() -> Self {
        Self(Zeroizing::new(random()))
    }

    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// As it is given to the receiver.
    pub fn text(&self) -> String {
        format!("{LEAD}{}", STANDARD.encode(self.0.as_slice()))
    }

    fn sign(&self, content: &[u8]) -> String {
        let key = hmac::Key::new(HMAC_SHA256, self.0.as_slice());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, content)))
    }
}

/// The header `webhook-signature`: one signature for each secret. `timestamp` is in seconds.
pub fn header(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let content = format!("{id}.{timestamp}.{body}");
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(content.as_bytes())).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value was computed apart from this code:
    /// `base64(hmac(bytes(32), b"msg_1.1700000000.{}", sha256))` of Python.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = Secret::from_bytes([0; SECRET_BYTES]);
        assert_eq!(secret.text(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let one = header(std::slice::from_ref(&secret), "msg_1", 1_700_000_000, "{}");
        assert_eq!(one, "v1,LzeNxZHo3O8fwpFJpLh/0B99ugILNFJw+/9lTgx0APs=");
        let both = header(&[secret, Secret::from_bytes([1; SECRET_BYTES])], "msg_1", 1_700_000_000, "{}");
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, one);
        assert!(second.starts_with("v1,") && second != first);
    }

    #[test]
    fn every_secret_is_another_one() {
        assert_ne!(Secret::new().text(), Secret::new().text());
    }
}
