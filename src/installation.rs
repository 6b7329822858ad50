//! Facts about the whole installation that all its processes share: the secret key and the
//! epoch of the event log.

use std::path::Path;

use entity::installation::{ActiveModel, Column, Entity, ID, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::db::Db;
use crate::error::{Error, Result};
use crate::secrets::SecretKey;

/// The owner and the plain text of the sealed `key_check`.
const CHECK_OWNER: &str = "installation.key_check";
const CHECK_TEXT: &[u8] = b"muster";

async fn row(db: &Db) -> Result<Model> {
    let row = Entity::find_by_id(ID).one(db.read()).await?;
    row.ok_or_else(|| Error::Internal("the table installation is empty".into()))
}

/// Reads the secret key from its file. The first start of an installation creates the key; from
/// then on every process must use the same one.
///
/// # Errors
/// One line for the person who starts the process.
pub async fn load_key(db: &Db, file: &Path) -> Result<SecretKey> {
    let check = row(db).await?.key_check;
    if check.is_some() && !file.exists() {
        let file = file.display();
        let missing = format!(
            "secret key file {file}: is missing, but the database has secrets that were sealed with it; copy it there"
        );
        return Err(Error::Internal(missing.into()));
    }
    let key = SecretKey::load_or_create(file).map_err(|line| Error::Internal(line.into()))?;
    if check.is_none() {
        // The first process stores its check. Others that start at the same time compare with it below.
        let first = &Entity::update_many()
            .set(ActiveModel { key_check: Set(Some(key.seal(CHECK_OWNER, CHECK_TEXT))), ..Default::default() })
            .filter(Column::KeyCheck.is_null());
        db.write(|tx| async move { Ok(first.clone().exec(tx.conn()).await?) }).await?;
    }
    let check = row(db).await?.key_check.unwrap_or_default();
    if key_matches(&key, &check) {
        return Ok(key);
    }
    let other = format!(
        "secret key file {}: is not the key that this database's secrets were sealed with; every process needs the same file",
        file.display()
    );
    Err(Error::Internal(other.into()))
}

/// True if the key opens the installation's `key_check`.
pub fn key_matches(key: &SecretKey, check: &[u8]) -> bool {
    key.open(CHECK_OWNER, check).is_ok_and(|text| text == CHECK_TEXT)
}

/// The epoch of the event log. It changes when a backup is restored, because new events may then
/// get numbers that clients have already seen on other events.
pub async fn log_epoch(db: &Db) -> Result<i64> {
    Ok(row(db).await?.log_epoch)
}
