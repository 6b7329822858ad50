//! Facts about the whole installation that all its processes share: the secret key and the
//! epoch of the event log.
//!
//! `key_check` is a known text, sealed with the key that seals new values. It tells a process whether its key file is
//! the right one, and which of the keys in the file is in use.

use std::path::Path;
use std::sync::Arc;

use entity::installation::{ActiveModel, Column, Entity, ID, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select};

use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::secrets::{KeyId, KeyRing, Place, SecretKey, is_of_first_version, key_id_of};

const CHECK: Place<'static> =
    Place { table: "installation", column: "key_check", row: &[], generation: 0, destination: [0; 32] };
const CHECK_TEXT: &[u8] = b"muster";
/// The owner of a `key_check` of the first version.
const FIRST_CHECK_OWNER: &str = "installation.key_check";

fn empty() -> Error {
    Error::Internal("the table installation is empty".into())
}

async fn row(db: &Db) -> Result<Model> {
    Entity::find_by_id(ID).one(db.read()).await?.ok_or_else(empty)
}

/// The row, locked until the transaction ends.
pub async fn lock(tx: &Tx) -> Result<Model> {
    Entity::find_by_id(ID).lock_exclusive().one(tx.conn()).await?.ok_or_else(empty)
}

/// Reads the secret keys from their file. The first start of an installation creates a key; from
/// then on every process must use the same file.
///
/// # Errors
/// One line for the person who starts the process.
pub async fn load_keys(db: &Db, file: &Path) -> Result<KeyRing> {
    let check = row(db).await?.key_check;
    if check.is_some() && !file.exists() {
        let file = file.display();
        let missing = format!(
            "secret key file {file}: is missing, but the database has secrets that were sealed with it; copy it there"
        );
        return Err(Error::Internal(missing.into()));
    }
    let ring = KeyRing::load_or_create(file).map_err(|line| Error::Internal(line.into()))?;
    match check {
        Some(check) if !key_matches(&ring, &check) => Err(other_key(&ring)),
        _ => Ok(ring),
    }
}

/// The error of a process whose key file is not that of the installation.
pub fn other_key(ring: &KeyRing) -> Error {
    let file = ring.file().display();
    let line = format!(
        "secret key file {file}: is not the key that this database's secrets were sealed with; every process needs the same file"
    );
    Error::Internal(line.into())
}

/// True if a key of the ring opens the installation's `key_check`.
pub fn key_matches(ring: &KeyRing, check: &[u8]) -> bool {
    let text = if is_of_first_version(check) {
        ring.open_first_version(FIRST_CHECK_OWNER, check)
    } else {
        ring.open(&CHECK, check).ok()
    };
    text.is_some_and(|text| *text == CHECK_TEXT)
}

/// Makes a key the one that seals new values.
pub async fn use_key(tx: &Tx, key: &SecretKey) -> Result<()> {
    Entity::update_many()
        .set(ActiveModel { key_check: Set(Some(key.seal(&CHECK, CHECK_TEXT))), ..Default::default() })
        .filter(Column::Id.eq(ID))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The id of the key that seals new values.
pub async fn used_key(db: &Db) -> Result<Option<KeyId>> {
    Ok(row(db).await?.key_check.as_deref().and_then(key_id_of))
}

/// The key that seals new values. It stays that until the transaction ends.
pub async fn sealing_key(tx: &Tx, ring: &KeyRing) -> Result<Arc<SecretKey>> {
    key_of(Entity::find_by_id(ID).lock_shared(), tx.conn(), ring).await
}

/// The same without a lock, for who holds one that a rotation waits for.
pub async fn key_in_use<C: ConnectionTrait>(conn: &C, ring: &KeyRing) -> Result<Arc<SecretKey>> {
    key_of(Entity::find_by_id(ID), conn, ring).await
}

async fn key_of<C: ConnectionTrait>(row: Select<Entity>, conn: &C, ring: &KeyRing) -> Result<Arc<SecretKey>> {
    let check: Option<Option<Vec<u8>>> = row.select_only().column(Column::KeyCheck).into_tuple().one(conn).await?;
    match check.flatten().as_deref().and_then(key_id_of) {
        Some(id) => ring.find(id).ok_or_else(|| other_key(ring)),
        None => Ok(ring.newest()),
    }
}

/// The epoch of the event log. It changes when a backup is restored, because new events may then
/// get numbers that clients have already seen on other events.
pub async fn log_epoch(db: &Db) -> Result<i64> {
    Ok(row(db).await?.log_epoch)
}
