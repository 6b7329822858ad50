//! The doctor: checks a live database for violated invariants.
//!
//! **What it promises.** It only reads, in one snapshot, and changes nothing. It checks rules
//! that hold at the end of every transaction, so a busy server causes no findings. A finding
//! means damaged data, a bug, or a manual change of the tables. The names of the checks never
//! change, because scripts read them from the JSON output.
//!
//! **What it does not do.** It repairs nothing; each finding says what a person can do. It
//! cannot detect losses that leave no trace, such as a mail that was pruned.
//!
//! **What it costs.** A few statements per check, independent of the amount of data, and
//! little memory. Some checks read every user, run and event. On SQLite the server can write
//! at the same time, but its write-ahead log grows until the doctor is done.
//!
//! It reads the tables through `entity` and plain SQL. No other module depends on it.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::Serialize;
use uuid::Uuid;

use crate::db::{Db, Location, Trouble};
use crate::error::{Error, Result};
use crate::maintenance::retention::Retention;

mod audit;
mod door_checks;
mod finding_checks;
mod history;
mod installation;
mod keys;
mod members;
mod people_checks;
mod spend_checks;
mod sql_checks;
mod webhook_checks;

use installation::Schema;

/// How long one statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_hours(1);
/// The savepoint allows to continue in the same snapshot after an error.
const SAVEPOINT: &str = "SAVEPOINT look";
const ROLLBACK_TO_SAVEPOINT: &str = "ROLLBACK TO SAVEPOINT look";
/// How many findings of one check are reported.
const MAX_FINDINGS: usize = 50;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Database,
    Instance,
    Run,
    Job,
    Mail,
    User,
    Event,
    Token,
    Member,
    Session,
    Person,
    Webhook,
}

/// A violated rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    pub about: Subject,
    /// The id of the row; for a job, the id of its subject. `None` for the database as a whole.
    pub id: Option<Uuid>,
    /// What is wrong, for a person.
    pub wrong: String,
    /// What to do.
    pub remedy: &'static str,
}

/// A check and the number of its findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    pub name: &'static str,
    /// The rule that must hold.
    pub promise: &'static str,
    /// The number of findings; counting stops at 50.
    pub findings: usize,
}

/// The result of an examination.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub checks: Vec<CheckResult>,
    pub findings: Vec<Finding>,
    /// What was not checked, and what a person should know although no rule is violated.
    pub notes: Vec<String>,
}

/// The parameters of an examination.
pub struct Examination<'a> {
    /// The file of the secret key.
    pub key_file: &'a Path,
    /// The folder with the seal of the audit log.
    pub data_dir: &'a Path,
    pub retention: Retention,
    /// The identity provider of the settings.
    pub provider: Option<Provider>,
    /// Also runs the checks that take long.
    pub thorough: bool,
    /// In Unix milliseconds. On PostgreSQL the time of the database is used instead.
    pub now: i64,
}

/// An identity provider with which members sign in.
#[derive(Clone, Debug)]
pub struct Provider {
    pub issuer: String,
    /// Whether some of its people become administrators.
    pub makes_admins: bool,
}

/// Opens the database without migrating it, and examines it.
///
/// # Errors
/// If the database cannot be opened or read.
pub async fn examine(location: &Location, examination: &Examination<'_>) -> Result<Report> {
    if let Location::Sqlite(file) = location
        && !file.is_file()
    {
        return Err(Error::Unavailable(format!("there is no database {}", file.display()).into()));
    }
    match look(location, examination).await {
        Err(error) if Trouble::of(&error) == Some(Trouble::Damaged) => Ok(installation::damaged(&error)),
        looked => looked,
    }
}

async fn look(location: &Location, examination: &Examination<'_>) -> Result<Report> {
    let db = Db::inspect(location).await?;
    let view = db.view().await?;
    view.allow(STATEMENT_TIMEOUT).await?;
    let report = examination.run(view.conn()).await;
    view.close().await?;
    db.close().await?;
    let mut report = report?;
    if let Location::Sqlite(file) = location {
        installation::disk_space(file, &mut report);
    }
    Ok(report)
}

impl Examination<'_> {
    /// Examines the database through a connection, which should be in a snapshot.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn run<C: ConnectionTrait>(&self, conn: &C) -> Result<Report> {
        let mut report = Report { checks: Vec::new(), findings: Vec::new(), notes: Vec::new() };
        let now = self.time(conn).await?;
        let Some(schema) = installation::migrations(conn, &mut report).await? else {
            report.notes.push("the rest was not checked: it needs the schema of this version".into());
            return Ok(report);
        };
        conn.execute_unprepared(SAVEPOINT).await?;
        if schema == Schema::Current {
            let done = installation::schema_objects(conn, &mut report).await;
            report.record_error(conn, "schema", done).await?;
        }
        let done = installation::database_file(conn, self.thorough, &mut report).await;
        report.record_error(conn, "database-file", done).await?;
        let done = keys::secret_key(conn, self.key_file, now, &mut report).await;
        report.record_error(conn, "secret-key", done).await?;
        let done = keys::api_tokens(conn, self.key_file, &mut report).await;
        report.record_error(conn, "api-tokens", done).await?;
        let done = members::members(conn, self.key_file, self.provider.as_ref(), now, &mut report).await;
        report.record_error(conn, "members", done).await?;
        let done = audit::chain(conn, self.key_file, self.data_dir, &mut report).await;
        report.record_error(conn, "audit-log", done).await?;
        for check in sql_checks::all(conn.get_database_backend(), self.retention, now, schema) {
            let asked = check.run(conn).await;
            let done = asked.map(|found| report.add(check.name, check.promise, found));
            report.record_error(conn, check.name, done).await?;
        }
        let done = spend_checks::currencies(conn, &mut report).await;
        report.record_error(conn, "currencies", done).await?;
        if schema == Schema::Current {
            let done = finding_checks::figures(conn, &mut report).await;
            report.record_error(conn, finding_checks::FIGURES, done).await?;
            let done = sql_checks::newer_values(conn, &mut report).await;
            report.record_error(conn, "known-values", done).await?;
        }
        let done = people_checks::erasures(conn, self.data_dir, &mut report).await;
        report.record_error(conn, people_checks::ERASURES, done).await?;
        let done = history::newest_events(conn, &mut report).await;
        report.record_error(conn, "newest-event", done).await?;
        let done = history::mail_order(conn, &mut report).await;
        report.record_error(conn, "mail-order", done).await?;
        if self.thorough {
            let done = history::event_chain(conn, &mut report).await;
            report.record_error(conn, "event-chain", done).await?;
        }
        Ok(report)
    }

    async fn time<C: ConnectionTrait>(&self, conn: &C) -> Result<i64> {
        if conn.get_database_backend() != DbBackend::Postgres {
            return Ok(self.now);
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now";
        let row = conn.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        Ok(row.map(|row| row.try_get("", "now")).transpose()?.unwrap_or(self.now))
    }
}

impl Report {
    /// Turns an error of a check into a finding, so that the other checks can continue.
    async fn record_error<C: ConnectionTrait>(&mut self, conn: &C, name: &'static str, done: Result<()>) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        if error.is_passing() {
            return Err(error);
        }
        // PostgreSQL rejects all further statements of a transaction after an error.
        conn.execute_unprepared(ROLLBACK_TO_SAVEPOINT).await?;
        let wrong = format!("it could not be checked: {}", error.chain());
        let remedy = "A row or a page cannot be read: keep a copy of the database, and restore a backup.";
        let finding = Finding { check: name, about: Subject::Database, id: None, wrong, remedy };
        self.add(name, "Everything that is checked can be read.", vec![finding]);
        Ok(())
    }

    fn add(&mut self, name: &'static str, promise: &'static str, mut found: Vec<Finding>) {
        if found.len() > MAX_FINDINGS {
            found.truncate(MAX_FINDINGS);
            self.notes.push(format!("{name}: there are more findings than the {MAX_FINDINGS} reported"));
        }
        self.checks.push(CheckResult { name, promise, findings: found.len() });
        self.findings.extend(found);
    }
}
