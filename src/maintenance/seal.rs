//! The seal of a backup: its SHA-256, by which a copy that was cut off or changed on its way is recognised.
//!
//! The digest is in the file itself, so that it cannot be lost, in a table of its own. It is computed with zeros in its
//! place. To find the place, a random value is stored there first.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};

use super::sqlite_file::{at, connect_without_wal, has_table, rows};
use crate::secrets;

const TABLE: &str = "backup_seal";
const LENGTH: usize = 32;
/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;

type Digest = [u8; LENGTH];

/// Prepares a complete file for its seal. Nothing else may change it after that.
pub(super) async fn prepare(file: &Path) -> Result<Digest, String> {
    let db = connect_without_wal(file).await?;
    let place: Digest = secrets::random();
    let made = async {
        db.execute_unprepared(&format!("CREATE TABLE {TABLE} (digest BLOB NOT NULL)")).await?;
        let insert = format!("INSERT INTO {TABLE} VALUES ($1)");
        let insert = Statement::from_sql_and_values(sea_orm::DbBackend::Sqlite, insert, [place.to_vec().into()]);
        db.execute_raw(insert).await
    };
    let made: Result<_, DbErr> = made.await;
    let _ = db.close().await;
    made.map_err(|error| at(file, &error))?;
    Ok(place)
}

/// Replaces the value that [`prepare`] stored by the digest.
pub(super) async fn close(file: &Path, place: Digest) -> Result<(), String> {
    in_file(file, move |file| {
        let offset = find(file, &place)?.ok_or(io::ErrorKind::InvalidData)?;
        let digest = digest(file, offset)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(&digest)?;
        file.sync_all()
    })
    .await
}

/// Whether a backup has a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seal {
    /// It is as it was made.
    Intact,
    /// A version without seals made it.
    None,
}

/// Compares an open backup with its digest.
///
/// # Errors
/// One line, if it differs.
pub(super) async fn check(db: &DatabaseConnection, file: &Path) -> Result<Seal, String> {
    let changed =
        || at(file, &"is not as `muster backup` wrote it: it was cut off or changed on its way; use another copy");
    if !has_table(db, TABLE).await.map_err(|error| at(file, &error))? {
        return Ok(Seal::None);
    }
    let rows = rows(db, &format!("SELECT digest FROM {TABLE}")).await.map_err(|error| at(file, &error))?;
    let stored: Vec<Vec<u8>> = rows.iter().filter_map(|row| row.try_get_by_index(0).ok()).collect();
    let [stored] = &stored[..] else { return Err(changed()) };
    let Ok(stored) = Digest::try_from(stored.as_slice()) else { return Err(changed()) };
    let intact = in_file(file, move |file| match find(file, &stored)? {
        Some(offset) => Ok(digest(file, offset)? == stored),
        None => Ok(false),
    });
    if intact.await? { Ok(Seal::Intact) } else { Err(changed()) }
}

/// Removes the seal from a database that will change.
pub(super) async fn remove(db: &DatabaseConnection) -> Result<(), DbErr> {
    db.execute_unprepared(&format!("DROP TABLE IF EXISTS {TABLE}")).await?;
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
fn find(file: &mut File, value: &Digest) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut window, mut start, mut found) = (Vec::new(), 0_u64, None);
    loop {
        let read = file.take(CHUNK as u64).read_to_end(&mut window)?;
        if let Some(index) = window.windows(LENGTH).position(|part| part == value) {
            found = Some(start + index as u64);
            break;
        }
        if read == 0 {
            break;
        }
        // The value may continue in the next chunk.
        let done = window.len().saturating_sub(LENGTH - 1);
        window.drain(..done);
        start += done as u64;
    }
    Ok(found)
}

/// The digest of a file with zeros in the place of its seal.
fn digest(file: &mut File, seal: u64) -> io::Result<Digest> {
    file.seek(SeekFrom::Start(0))?;
    let mut context = Context::new(&SHA256);
    hash(&mut context, &mut file.take(seal))?;
    file.seek(SeekFrom::Start(seal + LENGTH as u64))?;
    context.update(&[0; LENGTH]);
    hash(&mut context, file)?;
    let digest = context.finish();
    Digest::try_from(digest.as_ref()).map_err(io::Error::other)
}

fn hash(context: &mut Context, from: &mut impl Read) -> io::Result<()> {
    let mut part = vec![0; CHUNK];
    loop {
        match from.read(&mut part)? {
            0 => return Ok(()),
            read => context.update(&part[..read]),
        }
    }
}
