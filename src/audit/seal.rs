//! The seal: a signed note of the newest entry, outside of the database. It lies in the data folder, and can be exported.
//!
//! It shows that the end of the log was cut off, or that an older database was put back, which the database itself
//! cannot show. A seal is only ever replaced by one of a log that continues what the old one has sealed.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entity::audit_entry::{ActorKind, Column, Entity};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use super::ends::{self, Ends};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::files::fsync_parent_dir;
use crate::installation;
use crate::secrets::{Fields, KeyRing, SecretKey, hex, random, signer_of};

/// The name of the file in the data folder.
const FILE: &str = "audit.seal";
/// Another kind of seal would have another number.
const VERSION: u8 = 1;
/// How many of the newest entries are looked at, to know whether a server has written to the log.
const LOOKED_AT: u64 = 1_000;

/// A signed note of the newest entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    version: u8,
    /// The number of the newest entry.
    pub entry: i64,
    /// The hash of that entry, in hexadecimal digits. Empty if nothing was appended yet.
    hash: String,
    /// When it was sealed, in Unix milliseconds.
    at: i64,
    /// The signature of a key of the installation, in hexadecimal digits.
    signature: String,
}

impl Seal {
    /// Seals the newest entry.
    pub fn of(ends: &Ends, key: &SecretKey, at: i64) -> Self {
        let mut seal = Self {
            version: VERSION,
            entry: ends.last_id,
            hash: ends.last_hash.as_deref().map(hex).unwrap_or_default(),
            at,
            signature: String::new(),
        };
        seal.signature = hex(&key.sign_row(&seal.signed_fields()));
        seal
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) has written.
    ///
    /// # Errors
    /// A sentence without the name of the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|_| "is not a seal that muster made".into())
    }

    fn signed_fields(&self) -> Fields {
        let Self { version, entry, hash, at, signature: _ } = self;
        Fields::default().text("audit_seal").number(i64::from(*version)).number(*entry).text(hash).number(*at)
    }

    fn signature(&self) -> Option<Vec<u8>> {
        let digits = self.signature.as_bytes().chunks_exact(2);
        digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
    }

    /// Whether the signature is right, as far as that is known: the key of an older seal may have been replaced since.
    /// What such a seal says is compared with the log all the same.
    fn is_plausible(&self, ring: &KeyRing) -> bool {
        let Some(signature) = self.signature() else { return false };
        let Some(signer) = signer_of(&signature) else { return false };
        ring.find(signer).is_none() || ring.has_signed_row(&self.signed_fields(), &signature)
    }

    /// What of the log is not as it was when this was made; `None` if all is well.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn compare<C: ConnectionTrait>(&self, conn: &C, ring: &KeyRing) -> Result<Option<String>> {
        if !self.is_plausible(ring) {
            return Ok(Some("the seal was changed, or is not one that muster made".into()));
        }
        let (entry, ends) = (self.entry, ends::read(conn).await?);
        if ends.last_id < entry {
            let last = ends.last_id;
            return Ok(Some(format!(
                "the log ends with entry {last}, but entry {entry} was sealed: its end was cut off, or an older database was put back"
            )));
        }
        let hash = match entry.cmp(&ends.anchor_id) {
            // It was pruned.
            Ordering::Less => return Ok(None),
            Ordering::Equal => ends.anchor_hash,
            Ordering::Greater => {
                let row = Entity::find().select_only().column(Column::Hash).filter(Column::Id.eq(entry));
                row.into_tuple::<Option<Vec<u8>>>().one(conn).await?.flatten()
            }
        };
        let differs = hash.as_deref().map(hex).unwrap_or_default() != self.hash;
        let wrong = format!(
            "entry {entry} is not the one that was sealed: the end of the log was cut off, or an older database was put back, and the log was continued"
        );
        Ok(differs.then_some(wrong))
    }
}

/// The seal in the data folder.
#[derive(Clone)]
pub struct SealFile {
    path: PathBuf,
    keys: Arc<KeyRing>,
}

impl SealFile {
    pub fn new(data_dir: &Path, keys: Arc<KeyRing>) -> Self {
        Self { path: data_dir.join(FILE), keys }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The seal; `None` if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read, or has something else in it.
    pub fn read(&self) -> Result<Option<Seal>, String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        match fs::read_to_string(&self.path) {
            Ok(text) => Seal::parse(&text).map(Some).map_err(|error| at(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(&error)),
        }
    }

    /// What of the log is not as it was when the file was written, or that somebody has taken the file away; `None` if all
    /// is well.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn compare<C: ConnectionTrait>(&self, conn: &C) -> Result<Option<String>> {
        match self.read() {
            Ok(Some(seal)) => seal.compare(conn, &self.keys).await,
            Ok(None) => self.missing(conn).await,
            Err(line) => Ok(Some(line)),
        }
    }

    /// Says that there is no file although a server, which writes one each minute, has written to the log.
    async fn missing<C: ConnectionTrait>(&self, conn: &C) -> Result<Option<String>> {
        if !self.has_folder() {
            // A command on a machine without a data folder.
            return Ok(None);
        }
        let ends = ends::read(conn).await?;
        let kinds = Entity::find().select_only().column(Column::ActorKind).filter(Column::Id.gt(ends.anchor_id));
        let kinds = kinds.order_by_desc(Column::Id).limit(LOOKED_AT).into_tuple::<Option<ActorKind>>();
        let by_server = |kind: &Option<ActorKind>| kind.is_some_and(|kind| kind != ActorKind::CommandLine);
        let is_served = kinds.all(conn).await?.iter().any(by_server);
        let path = self.path.display();
        let wrong =
            format!("there is no seal {path}: somebody has removed it, or no server has run with this folder yet");
        Ok(is_served.then_some(wrong))
    }

    fn has_folder(&self) -> bool {
        self.path.parent().is_some_and(Path::exists)
    }

    /// Seals the newest entry, unless the log does not continue what is sealed.
    ///
    /// # Errors
    /// If the database cannot be read, or the file cannot be written.
    pub async fn renew(&self, db: &Db, at: i64) -> Result<()> {
        if matches!(self.read(), Ok(None)) {
            if let Some(wrong) = self.missing(db.read()).await? {
                warn!("{wrong}; a new one is written");
            }
        } else if let Some(wrong) = self.compare(db.read()).await? {
            error!(seal = %self.path.display(), "the audit log is not as it was sealed: {wrong}; see `muster audit verify`");
            return Ok(());
        }
        let ends = ends::read(db.read()).await?;
        if !ends::is_genuine(&self.keys, &ends) {
            warn!("the end of the audit log is not as Muster wrote it; see `muster audit verify`");
            return Ok(());
        }
        let key = installation::key_in_use(db.read(), &self.keys).await?;
        let old = self.read().ok().flatten();
        let signer = old.as_ref().and_then(Seal::signature).as_deref().and_then(signer_of);
        if old.is_some_and(|old| old.entry == ends.last_id) && signer == Some(key.id()) {
            return Ok(());
        }
        self.write(&Seal::of(&ends, &key, at))
    }

    /// Seals the newest entry, whatever was sealed before.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    pub async fn replace(&self, db: &Db, at: i64) -> Result<()> {
        let key = installation::key_in_use(db.read(), &self.keys).await?;
        self.write(&Seal::of(&ends::read(db.read()).await?, &key, at))
    }

    /// Replaces the file in one step.
    fn write(&self, seal: &Seal) -> Result<()> {
        if !self.has_folder() {
            return Ok(());
        }
        // A command may write one at the same time.
        let next = self.path.with_extension(format!("seal.{}", hex(&random::<4>())));
        let write = || {
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(seal.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            fsync_parent_dir(&self.path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&next);
            Error::internal(format!("{} cannot be written", self.path.display()), error)
        })
    }
}
