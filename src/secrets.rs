//! Encryption of secrets at rest, with a key that is never stored in the database.
//!
//! A sealed value is a version byte, a random nonce and the ciphertext of
//! ChaCha20-Poly1305. Its owner is authenticated as associated data, so a sealed value
//! that is moved to another row does not open.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::files::fsync_parent_dir;

const VERSION: u8 = 1;

/// The secret key of the installation.
pub struct SecretKey(LessSafeKey);

/// A sealed value cannot be opened: it has another key or owner, or is damaged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored secret does not open with this key")]
pub struct OpenError;

impl SecretKey {
    /// Reads the key file, or creates it (mode 0600) if it does not exist.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn load_or_create(file: &Path) -> Result<Self, String> {
        let at = |error: &dyn std::fmt::Display| format!("secret key file {}: {error}", file.display());
        match fs::read_to_string(file) {
            Ok(text) => {
                let bytes = STANDARD.decode(text.trim()).map_err(|_| at(&"is not a key that muster made"))?;
                Self::from_bytes(&bytes).ok_or_else(|| at(&"is not a key that muster made"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let bytes: [u8; 32] = random();
                let mut out =
                    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|e| at(&e))?;
                writeln!(out, "{}", STANDARD.encode(bytes)).and_then(|()| out.sync_all()).map_err(|e| at(&e))?;
                // The file name must be durable too: without its key, the database is lost.
                fsync_parent_dir(file).map_err(|e| at(&e))?;
                Self::from_bytes(&bytes).ok_or_else(|| at(&"could not be used"))
            }
            Err(error) => Err(at(&error)),
        }
    }

    /// Reads the key file; `None` if it does not exist.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn load(file: &Path) -> Result<Option<Self>, String> {
        if file.exists() { Self::load_or_create(file).map(Some) } else { Ok(None) }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        UnboundKey::new(&CHACHA20_POLY1305, bytes).ok().map(|key| Self(LessSafeKey::new(key)))
    }

    /// Encrypts `plain` so that it can be opened only with the same `owner`.
    pub fn seal(&self, owner: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut text = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner.as_bytes()), &mut text)
            .expect("a secret is far below the cipher's limit of 256 GiB");
        [&[VERSION][..], &nonce, &text].concat()
    }

    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (&version, rest) = sealed.split_first().ok_or(OpenError)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(OpenError)?;
        if version != VERSION {
            return Err(OpenError);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError)?;
        let mut text = text.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut text).map_err(|_| OpenError)?;
        Ok(plain.to_vec())
    }
}

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

/// SHA-256. Only for random secrets: passwords would need a slow hash.
pub fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_for_its_owner_and_its_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = SecretKey::load_or_create(&dir.path().join("a")).unwrap();
        let other = SecretKey::load_or_create(&dir.path().join("b")).unwrap();
        let sealed = key.seal("instance:1", b"s3cret");
        assert_eq!(key.open("instance:1", &sealed).unwrap(), b"s3cret");
        assert_eq!(key.open("instance:2", &sealed), Err(OpenError));
        assert_eq!(other.open("instance:1", &sealed), Err(OpenError));
        assert_eq!(key.open("instance:1", &sealed[..sealed.len() - 1]), Err(OpenError));
        assert_eq!(key.open("instance:1", &[]), Err(OpenError));
        assert!(!sealed.windows(6).any(|w| w == b"s3cret"));
    }

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

    #[test]
    fn the_key_file_is_created_once_and_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        let sealed = SecretKey::load_or_create(&file).unwrap().seal("x", b"y");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::load_or_create(&file).unwrap().open("x", &sealed).unwrap(), b"y");
        fs::write(&file, "not a key").unwrap();
        assert!(SecretKey::load_or_create(&file).err().unwrap().contains("secret.key"));
    }
}
