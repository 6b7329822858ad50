//! The seal of a backup: its signature, by which a copy that was cut off or changed is recognised.
//!
//! The signature is made with a key of the installation, so nobody else can make one. It is in the file itself, so that
//! it cannot be lost, in a table of its own. It is computed with zeros in its place. To find the place, a random value
//! is stored there first. Earlier versions stored a digest in the same way, which everybody can compute.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ring::digest;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::sqlite_file::{at, connect_without_wal, has_table, rows};
use crate::secrets::{self, KeyRing, SecretKey, key_id_of};

/// The table of the signature.
const TABLE: &str = "backup_signature";
/// The table in which earlier versions stored a digest.
const DIGEST_TABLE: &str = "backup_seal";
const SIGNATURE: usize = 32;
/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

type Value = [u8; SIGNATURE];

/// The key that signs a backup: the one that seals new values in it.
pub(super) async fn key_of(db: &DatabaseConnection, ring: &KeyRing) -> Result<std::sync::Arc<SecretKey>, DbErr> {
    let check = if has_table(db, "installation").await? {
        rows(db, "SELECT key_check FROM installation").await?.first().map(|row| row.try_get_by_index(0)).transpose()?
    } else {
        None
    };
    let check: Option<Vec<u8>> = check.flatten();
    let used = check.as_deref().and_then(key_id_of).and_then(|id| ring.find(id));
    Ok(used.unwrap_or_else(|| ring.newest()))
}

/// Prepares a complete file for its signature. Nothing else may change it after that.
pub(super) async fn prepare(file: &Path, key: &SecretKey) -> Result<Value, String> {
    let db = connect_without_wal(file).await?;
    let place: Value = secrets::random();
    let made = async {
        // The database itself may have been a backup.
        remove(&db).await?;
        db.execute_unprepared(&format!("CREATE TABLE {TABLE} (key_id BLOB NOT NULL, signature BLOB NOT NULL)")).await?;
        let insert = format!("INSERT INTO {TABLE} VALUES ($1, $2)");
        let values = [key.id().to_vec().into(), place.to_vec().into()];
        db.execute_raw(Statement::from_sql_and_values(sea_orm::DbBackend::Sqlite, insert, values)).await
    };
    let made: Result<_, DbErr> = made.await;
    let _ = db.close().await;
    made.map_err(|error| at(file, &error))?;
    Ok(place)
}

/// Replaces the value that [`prepare`] stored by the signature.
pub(super) async fn close(file: &Path, place: Value, key: &SecretKey) -> Result<(), String> {
    let mut signer = key.backup_signer();
    in_file(file, move |file| {
        let offset = find(file, &place)?.ok_or(io::ErrorKind::InvalidData)?;
        read_around(file, offset, |part| signer.update(part))?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(signer.sign().as_ref())?;
        file.sync_all()
    })
    .await
}

/// Whether a backup is as this installation made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// It is.
    Signed,
    /// It may not be, for this reason.
    Unsigned(&'static str),
}

const CHANGED: Seal = Seal::Unsigned("is not as `muster backup` wrote it: it was cut off or changed since");

/// Compares an open backup with its signature.
///
/// # Errors
/// One line, if it cannot be read.
pub(super) async fn check(db: &DatabaseConnection, file: &Path, ring: Option<&KeyRing>) -> Result<Seal, String> {
    let error = |error: &dyn std::fmt::Display| at(file, error);
    if !has_table(db, TABLE).await.map_err(|e| error(&e))? {
        if has_table(db, DIGEST_TABLE).await.map_err(|e| error(&e))? {
            return check_digest(db, file).await;
        }
        return Ok(Seal::Unsigned("carries no signature: `muster backup` of this version did not make it"));
    }
    let found = rows(db, &format!("SELECT key_id, signature FROM {TABLE}")).await.map_err(|e| error(&e))?;
    let [row] = &found[..] else { return Ok(CHANGED) };
    let value = |column| row.try_get_by_index::<Vec<u8>>(column).unwrap_or_default();
    let (Ok(id), Ok(signature)) = (value(0).try_into(), Value::try_from(value(1))) else { return Ok(CHANGED) };
    let Some(key) = ring.and_then(|ring| ring.find(id)) else {
        return Ok(Seal::Unsigned("was signed with a key that is not in the key file"));
    };
    let mut signer = key.backup_signer();
    let computed = in_file(file, move |file| {
        let Some(offset) = find(file, &signature)? else { return Ok(false) };
        read_around(file, offset, |part| signer.update(part))?;
        // No secret decides here: whoever asks has the file and the key.
        Ok(signer.sign().as_ref() == signature)
    });
    Ok(if computed.await? { Seal::Signed } else { CHANGED })
}

async fn check_digest(db: &DatabaseConnection, file: &Path) -> Result<Seal, String> {
    let rows = rows(db, &format!("SELECT digest FROM {DIGEST_TABLE}")).await.map_err(|error| at(file, &error))?;
    let stored = rows.iter().find_map(|row| row.try_get_by_index::<Vec<u8>>(0).ok());
    let Some(stored) = stored.and_then(|stored| Value::try_from(stored).ok()) else { return Ok(CHANGED) };
    let intact = in_file(file, move |file| {
        let Some(offset) = find(file, &stored)? else { return Ok(false) };
        let mut digest = digest::Context::new(&digest::SHA256);
        read_around(file, offset, |part| digest.update(part))?;
        Ok(digest.finish().as_ref() == stored)
    });
    let unsigned = Seal::Unsigned("carries a digest but no signature, because an earlier version made it");
    Ok(if intact.await? { unsigned } else { CHANGED })
}

/// Removes the seal from a database that will change.
pub(super) async fn remove(db: &DatabaseConnection) -> Result<(), DbErr> {
    for table in [TABLE, DIGEST_TABLE] {
        db.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}")).await?;
    }
    Ok(())
}

async fn in_file<T: Send + 'static>(
    file: &Path,
    work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let path: PathBuf = file.to_path_buf();
    let opened = move || {
        let writable = File::options().read(true).write(true).open(&path);
        // A backup on a read-only medium cannot be opened for writing.
        work(&mut writable.or_else(|_| File::open(&path))?)
    };
    let done = tokio::task::spawn_blocking(opened).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| at(file, &error))
}

/// The only place of a value in a file.
fn find(file: &mut File, value: &Value) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut window, mut start, mut found) = (Vec::new(), 0_u64, None);
    loop {
        let read = file.take(CHUNK as u64).read_to_end(&mut window)?;
        if let Some(index) = window.windows(SIGNATURE).position(|part| part == value) {
            found = Some(start + index as u64);
            break;
        }
        if read == 0 {
            break;
        }
        // The value may continue in the next chunk.
        let done = window.len().saturating_sub(SIGNATURE - 1);
        window.drain(..done);
        start += done as u64;
    }
    Ok(found)
}

/// Reads a file with zeros in the place of its seal.
fn read_around(file: &mut File, seal: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    read_all(&mut file.take(seal), &mut take)?;
    file.seek(SeekFrom::Start(seal + SIGNATURE as u64))?;
    take(&[0; SIGNATURE]);
    read_all(file, &mut take)
}

fn read_all(from: &mut impl Read, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut part = vec![0; CHUNK];
    loop {
        match from.read(&mut part)? {
            0 => return Ok(()),
            read => take(&part[..read]),
        }
    }
}
