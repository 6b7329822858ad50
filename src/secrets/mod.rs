//! Secrets: random ones, and the keys that seal what is stored.
//!
//! The keys are in a file and never in the database. A [`KeyRing`] has the keys of that file; each [`SecretKey`] seals
//! values, and authenticates rows and backups. Both are bound to their [`Place`], so that whoever writes the database
//! cannot make a value or a row valid anywhere else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

mod fields;
mod hash_key;
mod key;
mod key_ring;

pub use fields::{Digest, Fields, Place};
pub use hash_key::HashKey;
pub use key::{KeyId, OpenError, SecretKey, is_of_first_version, key_id_of, signer_of};
pub use key_ring::KeyRing;

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A secret of 256 random bits that is given away and comes back once. Only its hash is stored.
pub struct OneTimeSecret(String);

impl OneTimeSecret {
    #[expect(clippy::new_without_default, reason = "each value is different")]
    pub fn new() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<32>()))
    }

    /// 43 letters, digits, `-` and `_`.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> Vec<u8> {
        hash(&self.0)
    }

    /// The hash of a received text; `None` if it cannot be such a secret.
    pub fn hash_of(text: &str) -> Option<Vec<u8>> {
        let plausible = text.len() == 43 && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        plausible.then(|| hash(text))
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256. Only for random secrets: passwords would need a slow hash.
pub fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognised_by_its_hash() {
        let (one, other) = (OneTimeSecret::new(), OneTimeSecret::new());
        assert_eq!(OneTimeSecret::hash_of(one.text()), Some(one.hash()));
        assert_ne!(one.hash(), other.hash());
        let long = one.text().repeat(2);
        for bad in ["", "x", &one.text()[1..], &long, &"%".repeat(43), &"\u{e9}".repeat(22)] {
            assert_eq!(OneTimeSecret::hash_of(bad), None, "{bad}");
        }
    }
}
