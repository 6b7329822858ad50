//! What is true of the whole installation, over all its processes: its key, and which
//! event log it has.

use std::path::Path;

use entity::installation::{ActiveModel, Column, Entity, ID, Model};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::db::Db;
use crate::error::{Error, Result};
use crate::secrets::SecretKey;

/// What the key check is sealed for, and what it says.
const OWNER: &str = "installation.key_check";
const WORD: &[u8] = b"muster";

async fn row(db: &Db) -> Result<Model> {
    let row = Entity::find_by_id(ID).one(db.read()).await?;
    row.ok_or_else(|| Error::Internal("the table installation is empty".into()))
}

/// The key of the file, which is made at the first start of an installation and must be the
/// same one ever after, in every process.
///
/// # Errors
/// One line for whoever starts it.
pub async fn key(db: &Db, file: &Path) -> Result<SecretKey> {
    let check = row(db).await?.key_check;
    if check.is_some() && !file.exists() {
        return Err(Error::Internal(format!(
            "secret key file {}: is missing, and the database has secrets that were sealed with it; put it there",
            file.display()
        )));
    }
    let key = SecretKey::load_or_create(file).map_err(Error::Internal)?;
    if check.is_none() {
        // Whoever comes first decides; whoever comes at the same time finds out below.
        let first = &Entity::update_many()
            .set(ActiveModel { key_check: Set(Some(key.seal(OWNER, WORD))), ..Default::default() })
            .filter(Column::KeyCheck.is_null());
        db.write(|tx| async move { Ok(first.clone().exec(tx.conn()).await?) }).await?;
    }
    let check = row(db).await?.key_check.unwrap_or_default();
    if opens(&key, &check) {
        return Ok(key);
    }
    Err(Error::Internal(format!(
        "secret key file {}: is not the key that this database's secrets were sealed with; every process needs the same file",
        file.display()
    )))
}

/// Whether the key is the installation's.
pub fn opens(key: &SecretKey, check: &[u8]) -> bool {
    key.open(OWNER, check).is_ok_and(|word| word == WORD)
}

/// Which event log it is: another number after a backup was restored, whose events may have
/// the same numbers as others that were told already.
pub async fn epoch(db: &Db) -> Result<i64> {
    Ok(row(db).await?.log_epoch)
}
