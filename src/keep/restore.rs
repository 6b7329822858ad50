//! Putting a backup in the place of the database.
//!
//! The backup is checked first, and only read. A copy of it is made beside the database,
//! and told that its event log is another one than clients know. Then the
//! database that is there gets a second name, and the copy takes its first one, in one
//! step. Cut before that step, the old database is there as it was; cut after it, the new
//! one. What a cut leaves beside (`.restoring`) the next attempt removes.
//!
//! Whoever calls this holds the lock of the server, so that none runs.

use std::fs;
use std::path::{Path, PathBuf};

use entity::{installation, instance, oauth_grant};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Statement};
use uuid::Uuid;

use super::file::{
    at, beside, check_header, check_integrity, check_schema, connect, connect_alone, copy, has_table, number,
};
use crate::clock::date_time;
use crate::files::fsync_name;
use crate::instance::sealed::Sealed;
use crate::secrets::{self, SecretKey};

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub instances: i64,
    pub users: i64,
    /// Where the database that was there is kept.
    pub kept: Option<PathBuf>,
}

/// How a backup is to be put back.
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// Where the database is, or will be.
    pub to: &'a Path,
    /// Whether a database that is there may be replaced.
    pub replace: bool,
    /// The file of this installation's secret key.
    pub key_file: &'a Path,
    /// In Unix milliseconds.
    pub now: i64,
}

impl Restore<'_> {
    /// Puts it back.
    ///
    /// # Errors
    /// One line that names the file at fault; then the database is as it was.
    pub async fn run(&self) -> Result<Restored, String> {
        self.check_place()?;
        let next = beside(self.to, ".restoring");
        for left in ["", "-journal", "-wal", "-shm"] {
            remove(&beside(&next, left))?;
        }
        let prepared = self.prepare(&next).await;
        let (instances, users) = match prepared {
            Ok(counts) => counts,
            Err(error) => {
                let _ = fs::remove_file(&next);
                return Err(error);
            }
        };
        let kept = if self.to.exists() { Some(self.keep().await?) } else { None };
        fs::rename(&next, self.to).map_err(|error| at(self.to, &error))?;
        fsync_name(self.to).map_err(|error| at(self.to, &error))?;
        // An index of the old log of writes; SQLite makes it anew.
        remove(&beside(self.to, "-shm"))?;
        Ok(Restored { instances, users, kept })
    }

    fn check_place(&self) -> Result<(), String> {
        if self.to.exists() {
            if self.replace {
                return Ok(());
            }
            return Err(at(self.to, &"there is a database already; --replace puts the backup in its place"));
        }
        // SQLite would apply it to the new database.
        for left in ["-wal", "-journal"] {
            let left = beside(self.to, left);
            if fs::metadata(&left).is_ok_and(|found| found.len() > 0) {
                return Err(at(&left, &"belongs to a database that is not here any more; move it away first"));
            }
        }
        Ok(())
    }

    /// Makes the database that will be put in place; answers how many instances and users it has.
    async fn prepare(&self, next: &Path) -> Result<(i64, i64), String> {
        check_header(self.from)?;
        let db = connect(self.from).await?;
        let copied = async {
            check_integrity(&db, self.from).await?;
            check_schema(&db, self.from).await?;
            self.check_key(&db).await?;
            copy(&db, next).await
        };
        let copied: Result<_, String> = copied.await;
        let _ = db.close().await;
        copied?;
        let db = connect_alone(next).await?;
        let marked = async {
            new_epoch(&db).await.map_err(|error| at(next, &error))?;
            let instances = number(&db, "SELECT COUNT(*) FROM instance WHERE status <> 'deleted'").await;
            let users = number(&db, "SELECT COALESCE(CAST(SUM(user_count) AS BIGINT), 0) FROM instance").await;
            Ok((instances.map_err(|error| at(next, &error))?, users.map_err(|error| at(next, &error))?))
        };
        let marked: Result<_, String> = marked.await;
        let _ = db.close().await;
        let counts = marked?;
        fs::File::open(next).and_then(|file| file.sync_all()).map_err(|error| at(next, &error))?;
        Ok(counts)
    }

    /// Whether this installation's key opens what the backup has sealed.
    async fn check_key(&self, db: &DatabaseConnection) -> Result<(), String> {
        let error = |error: &dyn std::fmt::Display| at(self.from, error);
        let key = SecretKey::load(self.key_file)?;
        let mut check = None;
        if has_table(db, "installation").await.map_err(|e| error(&e))? {
            let row = installation::Entity::find_by_id(installation::ID).one(db).await.map_err(|e| error(&e))?;
            check = row.and_then(|row| row.key_check);
        }
        // What an older Muster has sealed before there was a check.
        let mut sealed = Vec::new();
        let secrets: Option<(Uuid, Vec<u8>)> = instance::Entity::find()
            .select_only()
            .columns([instance::Column::Id, instance::Column::Secrets])
            .filter(instance::Column::Secrets.is_not_null())
            .into_tuple()
            .one(db)
            .await
            .map_err(|e| error(&e))?;
        sealed.extend(secrets.map(|(id, value)| Sealed::secrets(id, value)));
        if has_table(db, "oauth_grant").await.map_err(|e| error(&e))? {
            let grant = oauth_grant::Entity::find().one(db).await.map_err(|e| error(&e))?;
            sealed.extend(grant.map(|row| Sealed::grant(row.instance_id, row.sealed)));
        }
        let file = self.key_file.display();
        let Some(key) = key else {
            if check.is_none() && sealed.is_empty() {
                return Ok(());
            }
            return Err(error(&format!(
                "was made with a secret key that is not here: put the key file that belongs to it at {file}"
            )));
        };
        if check.is_none_or(|check| crate::installation::opens(&key, &check))
            && sealed.iter().all(|sealed| sealed.opens(&key))
        {
            return Ok(());
        }
        Err(error(&format!(
            "was made with another secret key than that in {file}: put the key file that belongs to it there"
        )))
    }

    /// Gives the database that is there a second name; answers it.
    async fn keep(&self) -> Result<PathBuf, String> {
        self.fold().await?;
        let kept = beside(self.to, &date_time(self.now).format(".replaced-%Y%m%dT%H%M%S%3fZ").to_string());
        // Not a rename: there must be a database at every moment.
        if fs::hard_link(self.to, &kept).is_err() {
            fs::copy(self.to, &kept).map_err(|error| at(&kept, &error))?;
            fs::File::open(&kept).and_then(|file| file.sync_all()).map_err(|error| at(&kept, &error))?;
        }
        fsync_name(&kept).map_err(|error| at(&kept, &error))?;
        Ok(kept)
    }

    /// Moves what the database has in its log of writes into the file itself.
    async fn fold(&self) -> Result<(), String> {
        let stuck = |why: &dyn std::fmt::Display| {
            at(
                self.to,
                &format!(
                    "the database that is here cannot be closed ({why}); move it away by hand, with its -wal and -shm files, and restore without --replace"
                ),
            )
        };
        let db = connect_alone(self.to).await.map_err(|error| stuck(&error))?;
        db.close().await.map_err(|error| stuck(&error))?;
        let wal = beside(self.to, "-wal");
        if fs::metadata(&wal).is_ok_and(|found| found.len() > 0) {
            return Err(stuck(&"somebody has it open"));
        }
        Ok(())
    }
}

/// Makes the event log another one, so that clients that remember a place in what came
/// after the backup are told everything anew. An older database gets its number when it
/// is brought up to date.
async fn new_epoch(db: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    if !has_table(db, "installation").await? {
        return Ok(());
    }
    let epoch = i64::from(u32::from_le_bytes(secrets::random()));
    let sql = "UPDATE installation SET log_epoch = CASE log_epoch WHEN $1 THEN $1 + 1 ELSE $1 END";
    db.execute_raw(Statement::from_sql_and_values(sea_orm::DbBackend::Sqlite, sql, [epoch.into()])).await?;
    Ok(())
}

fn remove(file: &Path) -> Result<(), String> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(file, &error)),
        _ => Ok(()),
    }
}
