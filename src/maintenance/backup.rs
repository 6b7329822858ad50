//! Backup: copies a SQLite database into one file while the server runs.
//!
//! The copy is a consistent snapshot. It is written to a temporary file in the target
//! folder, checked, and then renamed, so a file with the final name is always complete. An
//! interrupted backup leaves a file that ends in `.partial` and can be deleted. The file is signed with the
//! installation's key ([`seal`]), so that a restore recognises a copy that was cut off or changed.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

use super::seal;
use super::sqlite_file::{at, check_integrity, connect, connect_without_wal, copy, with_suffix};
use crate::files::fsync_parent_dir;
use crate::secrets::KeyRing;

/// How often the progress is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The number of bytes written so far.
    Written(u64),
    /// Everything is written and is being checked.
    Checking,
}

/// The result of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Copies the database `from` into the new file `to`, signs it with the key in `key_file`, and reports the progress
/// from time to time.
///
/// # Errors
/// One line that names the file at fault. In this case `to` is not created.
pub async fn create(from: &Path, to: &Path, key_file: &Path, progress: impl Fn(Progress)) -> Result<Backup, String> {
    check_unused(to)?;
    if to.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(at(to, &"the folder does not exist"));
    }
    if !from.is_file() {
        return Err(at(from, &"there is no database here; has this installation been started?"));
    }
    let ring = KeyRing::load(key_file)?;
    let ring = ring.ok_or_else(|| at(key_file, &"is missing; a backup is signed with the secret key"))?;
    let partial = with_suffix(to, &format!(".{}.partial", Uuid::now_v7().simple()));
    let result = write(from, to, &partial, &ring, progress).await;
    if result.is_err() {
        let _ = fs::remove_file(&partial);
    }
    result
}

async fn write(
    from: &Path,
    to: &Path,
    partial: &Path,
    ring: &KeyRing,
    progress: impl Fn(Progress),
) -> Result<Backup, String> {
    let db = connect(from).await?;
    let report = async {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            progress(Progress::Written(fs::metadata(partial).map_or(0, |found| found.len())));
        }
    };
    let copied = tokio::select! {
        copied = copy(&db, partial) => copied,
        () = report => unreachable!("the loop never ends"),
    };
    let _ = db.close().await;
    copied?;
    progress(Progress::Checking);
    let db = connect_without_wal(partial).await?;
    let key = seal::key_of(&db, ring).await;
    let _ = db.close().await;
    let key = key.map_err(|error| at(partial, &error))?;
    let place = seal::prepare(partial, &key).await?;
    let db = connect_without_wal(partial).await?;
    let checked = check_integrity(&db, partial).await;
    let _ = db.close().await;
    checked?;
    seal::close(partial, place, &key).await?;
    let bytes = fs::metadata(partial).map_err(|error| at(partial, &error))?.len();
    publish(partial, to)?;
    fsync_parent_dir(to).map_err(|error| at(to, &error))?;
    Ok(Backup { bytes })
}

/// Gives the complete file its final name. Never overwrites a file that was created in the meantime.
fn publish(partial: &Path, to: &Path) -> Result<(), String> {
    match fs::hard_link(partial, to) {
        Ok(()) => {
            let _temporary_name = fs::remove_file(partial);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(to)),
        // The file system has no hard links.
        Err(_) => {
            check_unused(to)?;
            fs::rename(partial, to).map_err(|error| at(to, &error))
        }
    }
}

fn exists(to: &Path) -> String {
    at(to, &"is there already; choose another name")
}

/// A backup never overwrites a file.
fn check_unused(to: &Path) -> Result<(), String> {
    match to.symlink_metadata() {
        Ok(_) => Err(exists(to)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(to, &error)),
    }
}
