//! Restore: replaces a SQLite database by a backup.
//!
//! The backup is checked first and is never changed. A copy of it is written next to the
//! database, and its event log gets a new epoch, which invalidates the cursors of clients. Its sessions end.
//! Then the current database gets a second name, and the copy is renamed over it in one
//! atomic step. An interruption before that step leaves the old database in place, and one
//! after it the new one. The next attempt removes a `.restoring` file that is left over.
//!
//! The caller holds the lock of the server, so no server is running.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use entity::api_token::Role;
use entity::{installation, instance};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Statement};
use uuid::Uuid;

use super::seal::{self, Seal};
use super::sqlite_file::{
    at, check_header, check_integrity, check_schema, check_size, connect, connect_without_wal, copy, has_table, number,
    rows, with_suffix,
};
use crate::clock::date_time;
use crate::files::fsync_parent_dir;
use crate::installation::key_matches;
use crate::instance::sealed::first_version;
use crate::secrets::{self, KeyRing};

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub instances: i64,
    pub users: i64,
    /// Where the previous database was kept.
    pub previous: Option<PathBuf>,
    /// Why the backup may not be as this installation made it.
    pub doubt: Option<&'static str>,
}

/// The API tokens and members of a database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub tokens: BTreeMap<Uuid, KnownOne>,
    pub members: BTreeMap<Uuid, KnownOne>,
}

/// A token or a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOne {
    /// Its name, or the address of a member who has one.
    pub name: String,
    pub role: Role,
    /// Whether the token was revoked, or the member disabled.
    pub has_ended: bool,
}

impl Known {
    /// Reads it from a database of any version.
    ///
    /// # Errors
    /// One line that names the file.
    pub async fn read(file: &Path) -> Result<Self, String> {
        let db = connect(file).await?;
        let known = async |table: &str, columns: &str| -> Result<BTreeMap<Uuid, KnownOne>, sea_orm::DbErr> {
            if !has_table(&db, table).await? {
                return Ok(BTreeMap::new());
            }
            let read = rows(&db, &format!("SELECT id, {columns} FROM {table}")).await?;
            let one = |row: &sea_orm::QueryResult| {
                let (name, role) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
                Ok((row.try_get_by_index(0)?, KnownOne { name, role, has_ended: row.try_get_by_index(3)? }))
            };
            read.iter().map(one).collect()
        };
        let read = async {
            let tokens = known("api_token", "name, role, revoked_at IS NOT NULL").await?;
            Ok(Self { tokens, members: known("member", "COALESCE(email, name), role, disabled_at IS NOT NULL").await? })
        };
        let read: Result<Self, sea_orm::DbErr> = read.await;
        let _ = db.close().await;
        read.map_err(|error| at(file, &error))
    }
}

/// What to restore, and where.
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// The database file.
    pub to: &'a Path,
    /// Whether an existing database may be replaced.
    pub replace: bool,
    /// Whether a backup may be restored that this installation has not signed.
    pub unsigned: bool,
    /// The file of this installation's secret keys.
    pub key_file: &'a Path,
    /// In Unix milliseconds.
    pub now: i64,
}

impl Restore<'_> {
    /// Restores the backup.
    ///
    /// # Errors
    /// One line that names the file at fault. In this case the database is unchanged.
    pub async fn run(&self) -> Result<Restored, String> {
        self.check_target()?;
        let next = with_suffix(self.to, ".restoring");
        for left in ["", "-journal", "-wal", "-shm"] {
            remove(&with_suffix(&next, left))?;
        }
        let prepared = self.prepare(&next).await;
        let (instances, users, doubt) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = fs::remove_file(&next);
                return Err(error);
            }
        };
        let previous = if self.to.exists() { Some(self.keep_previous().await?) } else { None };
        fs::rename(&next, self.to).map_err(|error| at(self.to, &error))?;
        fsync_parent_dir(self.to).map_err(|error| at(self.to, &error))?;
        // The index of the old write-ahead log. SQLite creates a new one.
        remove(&with_suffix(self.to, "-shm"))?;
        Ok(Restored { instances, users, previous, doubt })
    }

    fn check_target(&self) -> Result<(), String> {
        if self.to.exists() {
            if self.replace {
                return Ok(());
            }
            return Err(at(self.to, &"there already is a database; use --replace to replace it"));
        }
        // SQLite would apply such a log to the new database.
        for left in ["-wal", "-journal"] {
            let left = with_suffix(self.to, left);
            if fs::metadata(&left).is_ok_and(|found| found.len() > 0) {
                return Err(at(&left, &"belongs to a database that no longer exists; move this file away first"));
            }
        }
        Ok(())
    }

    /// Writes the new database to `next`. Returns how many instances and users it has, and why the backup may not be
    /// as it was made.
    async fn prepare(&self, next: &Path) -> Result<(i64, i64, Option<&'static str>), String> {
        check_header(self.from)?;
        check_size(self.from)?;
        let db = connect(self.from).await?;
        let copied = async {
            check_integrity(&db, self.from).await?;
            check_schema(&db, self.from).await?;
            let ring = KeyRing::load(self.key_file)?;
            self.check_key(&db, ring.as_ref()).await?;
            let doubt = match seal::check(&db, self.from, ring.as_ref()).await? {
                Seal::Signed => None,
                Seal::Unsigned(reason) if self.unsigned => Some(reason),
                Seal::Unsigned(reason) => {
                    let instead = "use another copy, or restore it with --unsigned if you trust it all the same";
                    return Err(at(self.from, &format!("{reason}; {instead}")));
                }
            };
            copy(&db, next).await?;
            Ok(doubt)
        };
        let copied: Result<_, String> = copied.await;
        let _ = db.close().await;
        let doubt = copied?;
        let db = connect_without_wal(next).await?;
        let finished = async {
            seal::remove(&db).await.map_err(|error| at(next, &error))?;
            new_epoch(&db).await.map_err(|error| at(next, &error))?;
            end_sessions(&db).await.map_err(|error| at(next, &error))?;
            let instances = number(&db, "SELECT COUNT(*) FROM instance WHERE status <> 'deleted'").await;
            let users = number(&db, "SELECT COALESCE(CAST(SUM(user_count) AS BIGINT), 0) FROM instance").await;
            Ok((instances.map_err(|error| at(next, &error))?, users.map_err(|error| at(next, &error))?))
        };
        let finished: Result<_, String> = finished.await;
        let _ = db.close().await;
        let (instances, users) = finished?;
        fs::File::open(next).and_then(|file| file.sync_all()).map_err(|error| at(next, &error))?;
        Ok((instances, users, doubt))
    }

    /// Checks that this installation's key opens the secrets in the backup.
    async fn check_key(&self, db: &DatabaseConnection, ring: Option<&KeyRing>) -> Result<(), String> {
        let error = |error: &dyn std::fmt::Display| at(self.from, error);
        let check = if has_table(db, "installation").await.map_err(|e| error(&e))? {
            let check = installation::Entity::find_by_id(installation::ID).select_only();
            let check = check.column(installation::Column::KeyCheck).into_tuple::<Option<Vec<u8>>>();
            check.one(db).await.map_err(|e| error(&e))?.flatten()
        } else {
            None
        };
        // Backups of older versions have no `key_check`, so a stored secret is tried instead.
        let secrets: Option<(Uuid, Vec<u8>)> = instance::Entity::find()
            .select_only()
            .columns([instance::Column::Id, instance::Column::Secrets])
            .filter(instance::Column::Secrets.is_not_null())
            .into_tuple()
            .one(db)
            .await
            .map_err(|e| error(&e))?;
        let file = self.key_file.display();
        let Some(ring) = ring else {
            if check.is_none() && secrets.is_none() {
                return Ok(());
            }
            return Err(error(&format!(
                "was made with a secret key that is not here: copy the key file of that installation to {file}"
            )));
        };
        let opens = match (check, secrets) {
            (Some(check), _) => key_matches(ring, &check),
            (None, Some((id, value))) => ring.open_first_version(&first_version::secrets(id), &value).is_some(),
            (None, None) => true,
        };
        if opens {
            return Ok(());
        }
        Err(error(&format!(
            "was made with another secret key than the one in {file}: replace it by the key file of that installation"
        )))
    }

    /// Gives the current database a second name, and returns it.
    async fn keep_previous(&self) -> Result<PathBuf, String> {
        self.checkpoint().await?;
        let kept = with_suffix(self.to, &date_time(self.now).format(".replaced-%Y%m%dT%H%M%S%3fZ").to_string());
        // A link and not a rename, so that a database is in place at every moment.
        if fs::hard_link(self.to, &kept).is_err() {
            fs::copy(self.to, &kept).map_err(|error| at(&kept, &error))?;
            fs::File::open(&kept).and_then(|file| file.sync_all()).map_err(|error| at(&kept, &error))?;
        }
        fsync_parent_dir(&kept).map_err(|error| at(&kept, &error))?;
        Ok(kept)
    }

    /// Moves the contents of the write-ahead log into the database file.
    async fn checkpoint(&self) -> Result<(), String> {
        let cannot_close = |why: &dyn std::fmt::Display| {
            at(
                self.to,
                &format!(
                    "the current database cannot be closed ({why}); move it away by hand, with its -wal and -shm files, and restore without --replace"
                ),
            )
        };
        let db = connect_without_wal(self.to).await.map_err(|error| cannot_close(&error))?;
        db.close().await.map_err(|error| cannot_close(&error))?;
        let wal = with_suffix(self.to, "-wal");
        if fs::metadata(&wal).is_ok_and(|found| found.len() > 0) {
            return Err(cannot_close(&"somebody has it open"));
        }
        Ok(())
    }
}

/// Gives the event log a new epoch, so that clients whose cursors point to events after the
/// backup start again from snapshots. An older database gets its epoch when it is migrated.
async fn new_epoch(db: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    if !has_table(db, "installation").await? {
        return Ok(());
    }
    let epoch = i64::from(u32::from_le_bytes(secrets::random()));
    let sql = "UPDATE installation SET log_epoch = CASE log_epoch WHEN $1 THEN $1 + 1 ELSE $1 END";
    db.execute_raw(Statement::from_sql_and_values(sea_orm::DbBackend::Sqlite, sql, [epoch.into()])).await?;
    Ok(())
}

/// Ends the sessions and links of the backup, which may have ended since.
async fn end_sessions(db: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    for table in ["session", "member_link"] {
        if has_table(db, table).await? {
            db.execute_unprepared(&format!("DELETE FROM {table}")).await?;
        }
    }
    Ok(())
}

fn remove(file: &Path) -> Result<(), String> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(file, &error)),
        _ => Ok(()),
    }
}
