//! A copy of the database in one file, made while the server runs.
//!
//! The copy is of one moment. It is written under another name beside where it is to be,
//! checked, and only then given its own: what has the name is whole. Cut in the middle,
//! it leaves a file ending in `.partial`, which can be deleted.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

use super::file::{at, beside, check_integrity, connect, connect_alone, copy};
use crate::files::fsync_name;

/// How often it is told how far the copy is.
const TELL: Duration = Duration::from_secs(5);

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are written.
    Written(u64),
    /// All is written, and is being checked.
    Checking,
}

/// What was backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Copies the database `from` into the new file `to`. `progress` is told how far it is, now and then.
///
/// # Errors
/// One line that names the file at fault; then there is no file `to`.
pub async fn make(from: &Path, to: &Path, progress: impl Fn(Progress)) -> Result<Made, String> {
    free(to)?;
    if !from.is_file() {
        return Err(at(from, &"there is no database here; has this installation been started?"));
    }
    let partial = beside(to, &format!(".{}.partial", Uuid::now_v7().simple()));
    let made = write(from, to, &partial, progress).await;
    if made.is_err() {
        let _ = fs::remove_file(&partial);
    }
    made
}

async fn write(from: &Path, to: &Path, partial: &Path, progress: impl Fn(Progress)) -> Result<Made, String> {
    let db = connect(from).await?;
    let telling = async {
        loop {
            tokio::time::sleep(TELL).await;
            progress(Progress::Written(fs::metadata(partial).map_or(0, |found| found.len())));
        }
    };
    let copied = tokio::select! {
        copied = copy(&db, partial) => copied,
        () = telling => unreachable!("it goes on for ever"),
    };
    let _ = db.close().await;
    copied?;
    progress(Progress::Checking);
    let db = connect_alone(partial).await?;
    let checked = check_integrity(&db, partial).await;
    let _ = db.close().await;
    checked?;
    let bytes = fs::metadata(partial).map_err(|error| at(partial, &error))?.len();
    place(partial, to)?;
    fsync_name(to).map_err(|error| at(to, &error))?;
    Ok(Made { bytes })
}

/// Gives the finished file its name, which a file that was made meanwhile keeps for itself.
fn place(partial: &Path, to: &Path) -> Result<(), String> {
    match fs::hard_link(partial, to) {
        Ok(()) => {
            let _second_name = fs::remove_file(partial);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(taken(to)),
        // A file system without hard links.
        Err(_) => {
            free(to)?;
            fs::rename(partial, to).map_err(|error| at(to, &error))
        }
    }
}

fn taken(to: &Path) -> String {
    at(to, &"is there already; give a name that is free")
}

/// A backup never takes the place of another.
fn free(to: &Path) -> Result<(), String> {
    match to.symlink_metadata() {
        Ok(_) => Err(taken(to)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(to, &error)),
    }
}
