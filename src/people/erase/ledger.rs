//! The ledger of erasures: a file in the data folder, beside the key file.
//!
//! A database that is replaced by an older one knows nothing of what was erased since. The file does, and so the erasures
//! are carried out again. It says of nobody who it was: accounts, addresses and people are keyed hashes. The key of the
//! hashes is in the file, too, because the older database may not have it. So only its owner may read the file, as the key
//! file.
//!
//! An erasure is in the file before its transaction commits. If the process dies between the two, the next start carries
//! the erasure out.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::files::{check_secret, fsync_parent_dir};
use crate::secrets::{HashKey, hex, random};

/// The name of the file in the data folder.
const FILE: &str = "erasures.json";
/// A file of another kind would have another number.
const LEDGER_VERSION: u8 = 1;

/// An erasure, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub id: Uuid,
    /// In Unix milliseconds.
    pub at: i64,
    /// Why, as an administrator has said it.
    pub reason: String,
    /// The key of the hashes.
    key: String,
    /// The hash of the id of the person.
    pub person: String,
    /// The instances and stand-ins of the accounts.
    pub accounts: Vec<(Uuid, String)>,
    /// The hashes of the addresses.
    pub names: Vec<String>,
}

impl Noted {
    pub fn new(id: Uuid, at: i64, reason: String, key: &HashKey) -> Self {
        let (person, accounts, names) = (String::new(), Vec::new(), Vec::new());
        Self { id, at, reason, key: STANDARD.encode(key.bytes()), person, accounts, names }
    }

    /// The key of the hashes.
    ///
    /// # Errors
    /// If somebody else has written it.
    pub fn key(&self) -> Result<HashKey> {
        let key = STANDARD.decode(&self.key).ok().and_then(|bytes| HashKey::from_bytes(&bytes));
        key.ok_or_else(|| Error::Internal("the ledger of erasures has a key that is none".into()))
    }

    /// Whether the hashes are of this key.
    pub fn is_of(&self, key: &HashKey) -> bool {
        self.key == STANDARD.encode(key.bytes())
    }
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u8,
    erasures: Vec<Noted>,
}

/// The ledger of this installation; clones share it.
#[derive(Clone)]
pub struct Ledger {
    path: PathBuf,
    /// Held from the note of an erasure until it is known whether it was carried out.
    turn: Arc<Mutex<()>>,
}

impl Ledger {
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE), turn: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets nobody else in this process change the ledger while the result lives.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// All erasures. Empty if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read, others can read it, or it has something else in it.
    pub fn read(&self) -> Result<Vec<Noted>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.at(error)),
        };
        check_secret(&file).map_err(|line| self.at(line))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.at(error))?;
        let content: Content = serde_json::from_str(&text).map_err(|error| self.at(error))?;
        if content.version == LEDGER_VERSION {
            return Ok(content.erasures);
        }
        Err(self.at("a newer version of Muster wrote it"))
    }

    /// Adds an erasure, or replaces what is noted of it. It is durable afterwards.
    pub(super) fn note(&self, erasure: &Noted) -> Result<()> {
        let mut erasures = self.read()?;
        erasures.retain(|noted| noted.id != erasure.id);
        erasures.push(erasure.clone());
        self.write(erasures)
    }

    /// Takes an erasure back that was not carried out.
    pub(super) fn withdraw(&self, id: Uuid) -> Result<()> {
        let mut erasures = self.read()?;
        let before = erasures.len();
        erasures.retain(|noted| noted.id != id);
        if erasures.len() == before { Ok(()) } else { self.write(erasures) }
    }

    /// Replaces the file in one step.
    fn write(&self, erasures: Vec<Noted>) -> Result<()> {
        let text = serde_json::to_string(&Content { version: LEDGER_VERSION, erasures })? + "\n";
        let next = self.path.with_extension(format!("json.{}", hex(&random::<4>())));
        let write = || {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            fsync_parent_dir(&self.path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&next);
            self.at(error)
        })
    }

    fn at(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::internal(format!("the ledger of erasures {}", self.path.display()), error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_noted_is_read_again_and_can_be_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(dir.path());
        assert!(ledger.read().unwrap().is_empty());
        let key = HashKey::generate();
        let one = Noted::new(Uuid::now_v7(), 1, "Request 7".into(), &key);
        let mut other = Noted::new(Uuid::now_v7(), 2, String::new(), &key);
        other.accounts.push((Uuid::nil(), "x".into()));
        for noted in [&one, &other, &one] {
            ledger.note(noted).unwrap();
        }
        assert_eq!(ledger.read().unwrap(), [other.clone(), one.clone()]);
        assert!(one.is_of(&key) && one.is_of(&one.key().unwrap()) && !one.is_of(&HashKey::generate()));
        ledger.withdraw(one.id).unwrap();
        ledger.withdraw(one.id).unwrap();
        assert_eq!(ledger.read().unwrap(), [other]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn a_ledger_that_others_can_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(dir.path());
        ledger.note(&Noted::new(Uuid::now_v7(), 1, String::new(), &HashKey::generate())).unwrap();
        assert_eq!(fs::metadata(ledger.path()).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(ledger.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ledger.read().unwrap_err().chain().to_string().contains("erasures.json"));
        fs::set_permissions(ledger.path(), fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "{", r#"{"version":2,"erasures":[]}"#] {
            fs::write(ledger.path(), text).unwrap();
            assert!(ledger.read().is_err(), "{text}");
        }
    }
}
