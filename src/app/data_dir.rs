//! The data folder, and the lock file of its SQLite database, which shows whether the last server closed it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tracing::warn;

use crate::config::Settings;

/// What the lock file contains while a server works on the database.
const RUNNING: &[u8] = b"running";

/// Creates the data folder with access for its owner only.
pub(crate) fn prepare_data_dir(dir: &Path) -> Result<(), String> {
    let at = |error: std::io::Error| format!("setting data_dir: {}: {error}", dir.display());
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    }
    let mode = fs::metadata(dir).map_err(at)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(dir = %dir.display(), "other users of this machine can read the data folder; change its mode to 0700");
    }
    Ok(())
}

/// The lock of a SQLite database: a lock file next to it, which is locked for as long as this lives. Its content says
/// whether the last server closed the database.
pub(crate) struct DatabaseLock {
    file: File,
    /// True if the last server did not close the database.
    pub(super) left_open: bool,
}

impl DatabaseLock {
    /// # Errors
    /// One line, if a server works on the database.
    pub(crate) fn take(database: &Path) -> Result<Self, String> {
        let path = database.with_extension("lock");
        let at = |error: std::io::Error| format!("{}: {error}", path.display());
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(at)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let database = database.display();
                return Err(format!(
                    "setting data_dir: another muster is running on {database}; stop it first, or set another folder"
                ));
            }
            Err(TryLockError::Error(error)) => return Err(at(error)),
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(at)?;
        Ok(Self { file, left_open: content == RUNNING })
    }

    /// Notes that a server works on the database from now on.
    pub(super) fn opened(&mut self) {
        self.write(RUNNING);
    }

    /// Notes that the database is closed.
    pub(crate) fn closed(&mut self) {
        self.write(b"");
    }

    fn write(&mut self, content: &[u8]) {
        let file = &mut self.file;
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(content))
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            warn!(error = %error, "the lock file of the database cannot be written");
        }
    }
}

/// A warning for the administrator: an empty database will be created, although other files of an installation exist.
pub(super) fn missing_database(database: &Path, settings: &Settings) -> Option<String> {
    if database.exists() {
        return None;
    }
    // A key elsewhere may have been put there for a new installation.
    let own_key = settings.secret_key_file.is_none() && settings.secret_key_file().exists();
    let mails = fs::read_dir(settings.mail_dir()).is_ok_and(|mut mails| mails.next().is_some());
    let left = match (own_key, mails) {
        (false, false) => return None,
        (true, false) => "a secret key",
        (false, true) => "mails",
        (true, true) => "a secret key and mails",
    };
    Some(format!(
        "the database {} does not exist, but {left} of an earlier installation are in the data folder; an EMPTY database \
         is created now. If this is not a new installation, stop the server, and put the database back or restore a backup",
        database.display()
    ))
}
