//! A key of its own purpose, with which texts are hashed so that nobody without it can test a guess.

use ring::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use super::key::LENGTH;
use super::{Fields, hex, random};

/// A random key for hashes.
pub struct HashKey {
    bytes: Zeroizing<[u8; LENGTH]>,
    key: hmac::Key,
}

impl HashKey {
    /// A new one.
    pub fn generate() -> Self {
        Self::new(Zeroizing::new(random()))
    }

    fn new(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let key = hmac::Key::new(HMAC_SHA256, &*bytes);
        Self { bytes, key }
    }

    /// The key with these bytes. `None` if they are no key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut own = Zeroizing::new([0; LENGTH]);
        if bytes.len() != LENGTH {
            return None;
        }
        own.copy_from_slice(bytes);
        Some(Self::new(own))
    }

    /// For who stores it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The hash of some values, as 64 hexadecimal digits.
    pub fn hash(&self, fields: &Fields) -> String {
        hex(hmac::sign(&self.key, fields.as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_its_key_and_values() {
        let (one, other) = (HashKey::generate(), HashKey::generate());
        let of = |key: &HashKey, text: &str| key.hash(&Fields::default().text(text));
        assert_eq!(of(&one, "ann"), of(&HashKey::from_bytes(one.bytes()).unwrap(), "ann"));
        assert_eq!(of(&one, "ann").len(), 64);
        assert_ne!(of(&one, "ann"), of(&one, "bob"));
        assert_ne!(of(&one, "ann"), of(&other, "ann"));
        assert!(HashKey::from_bytes(b"short").is_none());
    }
}
