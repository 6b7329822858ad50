//! One key of the installation: it seals values, and authenticates rows and backups.
//!
//! A sealed value is a version byte, the id of its key, a random nonce and the ciphertext of ChaCha20-Poly1305. Its
//! [`Place`] is authenticated as associated data. Every purpose has a key of its own, derived from the one in the file.
//! Values of version 1 were sealed with the key of the file itself, and bound to the name of their owner only. They
//! are opened once, to be sealed anew.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac::{self, HMAC_SHA256};
use zeroize::Zeroizing;

use super::{Fields, Place, random};

const FIRST: u8 = 1;
const BOUND: u8 = 2;
/// The length of a key in bytes.
pub(super) const LENGTH: usize = 32;
const ID_LENGTH: usize = 8;

/// Tells the keys of an installation apart. It is not secret.
pub type KeyId = [u8; ID_LENGTH];

/// Why a sealed value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key file has no such key.
    #[error("it was sealed with a key that is not in the key file")]
    OtherKey,
    #[error("it, or a setting that it is bound to, was changed outside of Muster")]
    Changed,
}

/// One key of the installation.
pub struct SecretKey {
    bytes: Zeroizing<[u8; LENGTH]>,
    id: KeyId,
    sealing: LessSafeKey,
    rows: hmac::Key,
    backups: hmac::Key,
}

impl SecretKey {
    pub(super) fn new(bytes: Zeroizing<[u8; LENGTH]>) -> Self {
        let root = hmac::Key::new(HMAC_SHA256, &*bytes);
        let derived = |purpose: &str| hmac::sign(&root, purpose.as_bytes());
        let mut id = KeyId::default();
        id.copy_from_slice(&derived("muster key id").as_ref()[..ID_LENGTH]);
        Self {
            sealing: aead(derived("muster sealed values").as_ref()),
            rows: hmac::Key::new(HMAC_SHA256, derived("muster rows").as_ref()),
            backups: hmac::Key::new(HMAC_SHA256, derived("muster backups").as_ref()),
            bytes,
            id,
        }
    }

    pub(super) fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Encrypts `plain` so that it opens only in this place.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut text = plain.to_vec();
        self.sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), self.associated(place), &mut text)
            .expect("a secret is far below the cipher's limit of 256 GiB");
        [&[BOUND][..], &self.id, &nonce, &text].concat()
    }

    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        match key_id_of(sealed) {
            Some(id) if id == self.id => {
                decrypt(&self.sealing, self.associated(place), &sealed[1 + ID_LENGTH..]).ok_or(OpenError::Changed)
            }
            Some(_) => Err(OpenError::OtherKey),
            None => Err(OpenError::Changed),
        }
    }

    /// Opens a value of version 1.
    pub(super) fn open_first_version(&self, owner: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let rest = sealed.strip_prefix(&[FIRST])?;
        decrypt(&aead(&*self.bytes), Aad::from(owner.as_bytes().to_vec()), rest)
    }

    /// Authenticates everything in a row that decides what its bearer may do.
    pub fn sign_row(&self, row: &Fields) -> Vec<u8> {
        [&self.id[..], hmac::sign(&self.rows, row.as_bytes()).as_ref()].concat()
    }

    /// Whether this key has signed the row.
    pub(super) fn has_signed_row(&self, row: &Fields, signature: &[u8]) -> bool {
        signature.strip_prefix(&self.id).is_some_and(|tag| hmac::verify(&self.rows, row.as_bytes(), tag).is_ok())
    }

    /// Authenticates a backup. What is signed is hashed piece by piece.
    pub fn backup_signer(&self) -> hmac::Context {
        hmac::Context::with_key(&self.backups)
    }

    fn associated(&self, place: &Place<'_>) -> Aad<Vec<u8>> {
        let Place { table, column, row, generation, destination } = place;
        let fields = Fields::default().text(table).text(column).bytes(row).bytes(&self.id).number(*generation);
        Aad::from(fields.bytes(destination).as_bytes().to_vec())
    }
}

/// The id of the key that sealed a value; `None` for a value of version 1, and for what is no sealed value.
pub fn key_id_of(sealed: &[u8]) -> Option<KeyId> {
    sealed.strip_prefix(&[BOUND])?.first_chunk().copied()
}

/// Whether a value was sealed before values were bound to their place.
pub fn is_of_first_version(sealed: &[u8]) -> bool {
    sealed.first() == Some(&FIRST)
}

/// The id of the key that signed a row.
pub fn signer_of(signature: &[u8]) -> Option<KeyId> {
    signature.first_chunk().copied()
}

fn aead(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("the key has the cipher's length"))
}

fn decrypt(key: &LessSafeKey, associated: Aad<Vec<u8>>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, associated, &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey::new(Zeroizing::new([byte; LENGTH]))
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_with_its_key_only() {
        let place =
            Place { table: "instance", column: "secrets", row: b"one", generation: 1, destination: [0; LENGTH] };
        let sealed = key(1).seal(&place, b"s3cret");
        assert_eq!(key(1).open(&place, &sealed).unwrap().as_slice(), b"s3cret");
        assert_eq!(key(2).open(&place, &sealed), Err(OpenError::OtherKey));
        for elsewhere in [
            Place { table: "oauth_grant", ..place },
            Place { column: "config", ..place },
            Place { row: b"two", ..place },
            Place { generation: 2, ..place },
            Place { destination: [1; LENGTH], ..place },
        ] {
            assert_eq!(key(1).open(&elsewhere, &sealed), Err(OpenError::Changed), "{elsewhere:?}");
        }
        for length in 0..sealed.len() {
            assert!(key(1).open(&place, &sealed[..length]).is_err(), "{length} bytes");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key(1).open(&place, &changed).is_err(), "byte {at}");
        }
        assert!(!sealed.windows(6).any(|w| w == b"s3cret"));
    }

    #[test]
    fn a_row_is_signed_by_its_key_only() {
        let row = |role: &str| Fields::default().text("api_token").text(role);
        let signature = key(1).sign_row(&row("viewer"));
        assert!(key(1).has_signed_row(&row("viewer"), &signature));
        assert!(!key(1).has_signed_row(&row("admin"), &signature));
        assert!(!key(2).has_signed_row(&row("viewer"), &signature));
        assert!(!key(1).has_signed_row(&row("viewer"), &signature[..20]));
        assert!(!key(1).has_signed_row(&row("viewer"), &[]));
    }
}
