//! What is secret of a webhook as it is stored: what signs its messages, the newest first and for a while the one before
//! it; or the whole address of a chat or an alert manager.

use entity::webhook::Model;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::kind::Address;
use super::signature::{SECRET_BYTES, Secret};
use crate::secrets::{Fields, KeyRing, OpenError, Place, SecretKey};

/// Where the secrets of a webhook open. They are bound to its address, so that nobody who writes the database can have
/// messages signed for another one.
pub fn place<'a>(id: &'a Uuid, url: &str, generation: i64) -> Place<'a> {
    Place {
        table: "webhook",
        column: "secret",
        row: id.as_bytes(),
        generation,
        destination: Fields::default().text(url).digest(),
    }
}

/// The place of a row's secrets.
pub fn place_of(row: &Model) -> Place<'_> {
    place(&row.id, &row.url, row.secret_generation)
}

pub fn seal(key: &SecretKey, place: &Place<'_>, secrets: &[Secret]) -> Vec<u8> {
    let plain: Zeroizing<Vec<u8>> =
        Zeroizing::new(secrets.iter().flat_map(|secret| secret.bytes().iter().copied()).collect());
    key.seal(place, &plain)
}

/// The secrets of a row, the newest first.
pub fn open(keys: &KeyRing, row: &Model) -> Result<Vec<Secret>, OpenError> {
    let plain = keys.open(&place_of(row), &row.secret)?;
    let secrets = plain.chunks_exact(SECRET_BYTES).filter_map(|bytes| Some(Secret::from_bytes(bytes.try_into().ok()?)));
    Ok(secrets.collect())
}

/// Seals the address of a chat or an alert manager.
pub fn seal_address(key: &SecretKey, place: &Place<'_>, address: &Address) -> serde_json::Result<Vec<u8>> {
    Ok(key.seal(place, &Zeroizing::new(serde_json::to_vec(address)?)))
}

/// The address of a chat or an alert manager.
pub fn open_address(keys: &KeyRing, row: &Model) -> Result<Address, OpenError> {
    let plain = keys.open(&place_of(row), &row.secret)?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::Changed)
}

/// The secrets with which a message is signed at `now`.
pub fn in_force(keys: &KeyRing, row: &Model, now: i64) -> Result<Vec<Secret>, OpenError> {
    let mut secrets = open(keys, row)?;
    if row.previous_until.is_none_or(|until| until <= now) {
        secrets.truncate(1);
    }
    Ok(secrets)
}
