//! The doctor: looks at a live database and tells what is not as it must be.
//!
//! **What it promises.** It reads, in one view, and changes nothing: no row, no schema, no
//! lease. Everything that the rules say must hold at the end of every transaction is
//! checked, so a server that is busy gives it nothing to find: what it finds is damage, a
//! fault of ours, or somebody's hand in the tables. The names of the checks are stable,
//! for scripts that read the JSON.
//!
//! **What it does not.** It mends nothing; each finding says what a person can do. It
//! cannot know what is gone without a trace, such as a mail that was pruned.
//!
//! **What it costs.** A few statements per check, however much there is, and little
//! memory; every row of users, runs and events is read once by some check. On SQLite the
//! server's writers go on meanwhile, and their log of writes grows until it is done.
//!
//! It reads every table through `entity` and plain SQL. Nothing depends on it.

use std::path::Path;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::Serialize;
use uuid::Uuid;

use crate::db::{Db, Location};
use crate::error::{Error, Result};
use crate::keep::Retention;

mod history;
mod installation;
mod questions;

use installation::Schema;

/// How long one statement may take.
const STATEMENT: Duration = Duration::from_hours(1);
/// To go on in the same view after an error.
const LOOK: &str = "SAVEPOINT look";
const LOOK_AGAIN: &str = "ROLLBACK TO SAVEPOINT look";
/// How many findings of one check are told.
const TOLD: usize = 50;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Thing {
    Database,
    Instance,
    Run,
    Job,
    Mail,
    User,
    Event,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    pub about: Thing,
    /// The id of what it is about; of a job, the id of its subject. None for the database as a whole.
    pub id: Option<Uuid>,
    /// What is wrong, for a person.
    pub wrong: String,
    /// What to do.
    pub remedy: &'static str,
}

/// A check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub name: &'static str,
    /// What must hold.
    pub promise: &'static str,
    /// How many findings there are; of each check no more than 50 are counted and told.
    pub findings: usize,
}

/// What the doctor says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub checks: Vec<Checked>,
    pub findings: Vec<Finding>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// What the doctor has to know besides the database.
pub struct Examination<'a> {
    /// The file of the secret key.
    pub key_file: &'a Path,
    pub retention: Retention,
    /// Reads everything, also what takes long.
    pub thorough: bool,
    /// In Unix milliseconds; of a shared database, its own time is taken.
    pub now: i64,
}

/// Opens the database as it is, and examines it.
///
/// # Errors
/// Why nobody could look.
pub async fn visit(location: &Location, examination: &Examination<'_>) -> Result<Report> {
    if let Location::Sqlite(file) = location
        && !file.is_file()
    {
        return Err(Error::Unavailable(format!("there is no database {}", file.display())));
    }
    let db = Db::inspect(location).await?;
    let view = db.view().await?;
    view.allow(STATEMENT).await?;
    let report = examination.of(view.conn()).await;
    view.close().await?;
    db.close().await?;
    report
}

impl Examination<'_> {
    /// Examines what a connection sees; it should see one moment.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of<C: ConnectionTrait>(&self, conn: &C) -> Result<Report> {
        let mut report = Report { checks: Vec::new(), findings: Vec::new(), notes: Vec::new() };
        let now = self.time(conn).await?;
        let Some(schema) = installation::schema(conn, &mut report).await? else {
            report.notes.push("the rest was not checked: it needs the schema of this version".into());
            return Ok(report);
        };
        conn.execute_unprepared(LOOK).await?;
        if schema == Schema::Ours {
            let done = installation::whole(conn, &mut report).await;
            report.settle(conn, "schema", done).await?;
        }
        let done = installation::file(conn, self.thorough, &mut report).await;
        report.settle(conn, "database-file", done).await?;
        let done = installation::key(conn, self.key_file, &mut report).await;
        report.settle(conn, "secret-key", done).await?;
        for question in questions::all(conn.get_database_backend(), self.retention, now) {
            let asked = question.ask(conn).await;
            let done = asked.map(|found| report.add(question.name, question.promise, found));
            report.settle(conn, question.name, done).await?;
        }
        let done = history::newest_events(conn, &mut report).await;
        report.settle(conn, "newest-event", done).await?;
        let done = history::mail_order(conn, &mut report).await;
        report.settle(conn, "mail-order", done).await?;
        if self.thorough {
            let done = history::event_chain(conn, &mut report).await;
            report.settle(conn, "event-chain", done).await?;
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
    /// A check that meets what it cannot read has found something; the others go on.
    async fn settle<C: ConnectionTrait>(&mut self, conn: &C, name: &'static str, done: Result<()>) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        if error.is_passing() {
            return Err(error);
        }
        // PostgreSQL answers nothing more in a transaction that met an error.
        conn.execute_unprepared(LOOK_AGAIN).await?;
        let wrong = format!("it could not be checked: {error}");
        let remedy = "A row or a page cannot be read: keep a copy of the database, and restore a backup.";
        let finding = Finding { check: name, about: Thing::Database, id: None, wrong, remedy };
        self.add(name, "What is checked can be read.", vec![finding]);
        Ok(())
    }

    fn add(&mut self, name: &'static str, promise: &'static str, mut found: Vec<Finding>) {
        if found.len() > TOLD {
            found.truncate(TOLD);
            self.notes.push(format!("{name}: there are more than the {TOLD} that are told"));
        }
        self.checks.push(Checked { name, promise, findings: found.len() });
        self.findings.extend(found);
    }
}
