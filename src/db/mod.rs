//! The database: opening it, reading and writing it, and waking the code that waits for changes.
//!
//! **Two databases, one interface.** SQLite is embedded and belongs to one process; PostgreSQL is shared by any
//! number of replicas. All other code sees [`Db`]. The differences are in [`sqlite`], [`postgres`] and [`classify`],
//! in the bulk statements of the sync, and in the migrations.
//!
//! **Reading** is sea-orm's, on [`Db::read`]. What is asked often is read beside it, see [`rows`].
//!
//! **Writing** is [`Db::write`]: a closure that runs in a transaction. What the transaction announces (new events,
//! new jobs) wakes the listeners of all replicas after the commit and never before. A wake-up may be lost; the tables
//! are the truth, and every listener also polls them. Events are numbered in the order in which they become visible,
//! so a reader that follows the log by number misses none.
//!
//! **Lock order.** A transaction locks rows in this order: first the instance, then its job, then its run, grant or
//! mails. An advisory lock that numbers events is taken last, inside the commit, as is the row that counts the changes
//! without an event. A transaction that starts from a run
//! or a job reads it without a lock, locks the instance, and then reads it again. Rows of several instances are not
//! locked together, except with SKIP LOCKED, and by the erasure of a person: it locks the settings of people first, then the
//! instances in the order of their ids, and then the jobs of their runs. Whoever seals a credential shares the row of the installation after
//! locking the instance, or locks it if the commit counts a change in it; whoever locks that row for writing locks
//! nothing after it that sealing needs. Whoever changes a
//! member has that row first, then the member, then links and sessions.
//!
//! **Failures.** A transaction that the database rolls back (a deadlock, a lost connection) is run again from its
//! beginning. When the answer to COMMIT is lost, the database is asked whether the commit happened, so that nothing
//! is done twice and nothing that was done is reported as failed. A database that cannot be used is
//! [`Error::Unavailable`], at the latest when the time limit of a statement has passed.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::{
    AccessMode, DatabaseConnection, DbBackend, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::secrets::KeyRing;
use conn::{Pools, Timed};
use postgres::Share;
use rows::Fast;
use wake::Wake;

mod changes;
mod classify;
mod conn;
pub mod keyset;
mod like;
mod location;
mod migrate;
mod parameters;
mod postgres;
mod rows;
mod sqlite;
mod total;
mod trouble;
mod tx;
mod view;
mod wake;

pub use classify::{ErrorClass, classify, is_duplicate};
pub use conn::Reader;
pub use like::{any_contains, contains};
pub use location::{Location, ParsedUrl};
pub use rows::{AnyCertificate, Columns, Shape};
pub use total::{MOST_COUNTED, Total, total, total_of_parts, totals};
pub use trouble::Trouble;
use tx::Inner;
pub use tx::Tx;
pub use view::View;
pub use wake::Topic;

/// How long a statement may take.
pub const STATEMENT: Duration = Duration::from_secs(20);
/// How long it may take to begin a transaction: waiting for a connection, and one round trip.
const BEGIN: Duration = Duration::from_secs(6);
/// How long a commit may take before the database is asked whether it happened.
const COMMIT: Duration = Duration::from_secs(8);
/// How often a transaction is run at most when the database rolls it back.
const ATTEMPTS: u32 = 6;
/// How long to wait before it is run again. The jitter keeps two transactions from colliding again.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(20), longest: Duration::from_secs(1), jitter: 0.5 };
/// After how long it is not run again, because the caller is waiting.
const RETRY_LIMIT: Duration = Duration::from_secs(15);

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    location: Arc<Location>,
    reader: Arc<Reader>,
    reserved: Option<Arc<Reader>>,
    writer: DatabaseConnection,
    wake: Arc<Wake>,
    /// The clock of the database; SQLite has none.
    time: Option<Clock>,
    trouble: Arc<trouble::Watch>,
    /// The write-ahead log of SQLite.
    log: Option<Arc<sqlite::Log>>,
    /// Signs the audit log.
    keys: Arc<OnceLock<Arc<KeyRing>>>,
    /// Ends the background tasks.
    stop: CancellationToken,
}

impl Db {
    /// Opens the database and migrates its schema. `connections` is how many connections to PostgreSQL this process
    /// keeps, besides the one for wake-ups.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if another try may succeed.
    pub async fn open(location: &Location, connections: u32) -> Result<Self> {
        let pools = match location {
            Location::Sqlite(file) => sqlite::open(file).await?,
            Location::Postgres(url) => postgres::open(url, connections).await?,
        };
        let mut db = Self::new(location, pools);
        migrate::up(&db).await?;
        match location {
            Location::Sqlite(file) => db.reader.use_also(Fast::sqlite(file)?),
            Location::Postgres(url) => {
                db.reader.use_also(Fast::postgres(url, Share::of(connections).shared).await?);
                db.time = Some(postgres::follow_time(&db).await?);
                postgres::spawn(&db, url);
                metrics::gauge!("muster_database_connections_limit").set(connections);
            }
        }
        Ok(db)
    }

    /// Opens the database for reading, without migrating its schema.
    pub async fn inspect(location: &Location) -> Result<Self> {
        let pools = match location {
            Location::Sqlite(file) => sqlite::inspect(file).await?,
            Location::Postgres(url) => postgres::open(url, 2).await?,
        };
        Ok(Self::new(location, pools))
    }

    fn new(location: &Location, Pools { reader, reserved, writer }: Pools) -> Self {
        Db {
            location: Arc::new(location.clone()),
            reader: Arc::new(Reader::new(reader)),
            reserved: reserved.map(|pool| Arc::new(Reader::new(pool))),
            writer,
            wake: Arc::default(),
            time: None,
            trouble: Arc::default(),
            log: match location {
                Location::Sqlite(file) => Some(Arc::new(sqlite::Log::of(file))),
                Location::Postgres(_) => None,
            },
            keys: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    pub fn backend(&self) -> DbBackend {
        self.location.backend()
    }

    /// The file of an SQLite database.
    pub fn file(&self) -> Option<&PathBuf> {
        match self.location.as_ref() {
            Location::Sqlite(file) => Some(file),
            Location::Postgres(_) => None,
        }
    }

    /// The clock for leases and schedules: the database's, if several processes share it, so that they agree.
    /// A clock that a test controls is kept.
    pub fn clock(&self, own: Clock) -> Clock {
        match (&self.time, own) {
            (Some(time), Clock::System) => time.clone(),
            (_, own) => own,
        }
    }

    /// Signs the audit log with these keys from now on.
    pub fn sign_with(&self, keys: &Arc<KeyRing>) {
        let _already_given = self.keys.set(keys.clone());
    }

    /// The connection for statements that change nothing.
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// As [`read`](Self::read), for what must not wait behind the queries of clients: tokens and health.
    pub fn reserved(&self) -> &Reader {
        self.reserved.as_ref().unwrap_or(&self.reader)
    }

    /// A consistent snapshot for several statements.
    pub async fn view(&self) -> Result<View> {
        let options = TransactionOptions {
            isolation_level: self.shared().then_some(IsolationLevel::RepeatableRead),
            access_mode: self.shared().then_some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        };
        Ok(View(Timed::new(self.reader.begin(options).await?)))
    }

    /// Runs `work` in a transaction: `Ok` commits, `Err` rolls back. `work` is run again when the database rolls the
    /// transaction back, so it must read all rows itself and have no effect outside the database.
    ///
    /// # Errors
    /// The error of `work`; [`Error::Unavailable`] if the database cannot be used and nothing was changed;
    /// [`Error::Uncertain`] if it is unknown whether the commit happened.
    pub async fn write<T, W>(&self, work: impl Fn(Tx) -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let begun = tokio::time::Instant::now();
        for attempt in 1.. {
            let ended = self.attempt(&work).await;
            if let Err(error) = &ended {
                self.trouble.failed(error);
            }
            let undone = match ended {
                Err(Error::Undone(failure)) => failure,
                done => return done,
            };
            metrics::counter!("muster_database_transactions_undone_total").increment(1);
            if attempt >= ATTEMPTS || begun.elapsed() > RETRY_LIMIT {
                return Err(Error::Unavailable(undone));
            }
            tracing::info!(error = %undone.chain(), attempt, "the database rolled a transaction back; it is run again");
            tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt<T, W>(&self, work: &impl Fn(Tx) -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = conn::in_time(BEGIN, self.writer.begin_with_options(options)).await?;
        let tx = Tx::new(begun, self.keys.get().cloned());
        let value = work(tx.clone()).await?;
        let records = tx.has_entries();
        let tx = tx.finish().await?;
        self.commit(tx).await?;
        if records {
            audit::note_recorded();
        }
        Ok(value)
    }

    async fn commit(&self, tx: Inner) -> Result<()> {
        let Inner { conn, announced, changes, .. } = tx;
        let (changes, topics) = (changes.into_inner(), announced.into_inner());
        let mut wakes_others = false;
        // As late as possible, because on PostgreSQL transactions with events commit one after another.
        let mark = if self.shared() {
            wakes_others = !changes.events.is_empty();
            Some(postgres::mark(&conn, changes, self.wake.message(topics), self.clock(Clock::System).now()).await?)
        } else {
            changes.record(&conn).await?;
            None
        };
        // A mark is a row.
        let stored = mark.is_some() || conn.has_changed_rows();
        match mark {
            // Once begun, SQLite's commit completes even if nobody waits for it.
            None => conn.into_inner().commit().await?,
            Some(mark) => {
                if let Err(error) = conn::in_time(COMMIT, conn.into_inner().commit()).await {
                    postgres::resolve(self, mark, error).await?;
                }
            }
        }
        if stored {
            self.trouble.stored();
        }
        if let Some(log) = &self.log {
            log.trim(&self.writer).await;
        }
        if wakes_others {
            self.wake.wake_local(topics);
        } else {
            self.wake.announce(topics);
        }
        Ok(())
    }

    /// A receiver that changes after each commit, of any replica, that announced `topic`.
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.wake.listen(topic)
    }

    /// How many statements were executed outside of transactions since the start.
    pub fn statements(&self) -> u64 {
        self.reader.statements()
    }

    /// Tests that the database answers a statement.
    pub async fn ping(&self) -> Result<()> {
        use sea_orm::ConnectionTrait;
        self.reserved().execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// True if a newer Muster has migrated the schema since the start, and this version can no longer work with it.
    pub async fn is_outdated(&self) -> Result<bool> {
        migrate::is_outdated(self.read()).await
    }

    /// The known problem of the machine that the database runs on, and since when.
    pub fn trouble(&self) -> Option<(Trouble, i64)> {
        self.trouble.current()
    }

    /// Notes a problem that something other than a transaction found.
    pub fn note_trouble(&self, trouble: Trouble) {
        self.trouble.note(trouble);
    }

    /// How many connections are open, and how many of them are in use; `None` for a file.
    pub fn connections(&self) -> Option<(u32, u32)> {
        if !self.shared() {
            return None;
        }
        let pools = [Some(self.reader.pool()), self.reserved.as_deref().map(Reader::pool), Some(&self.writer)];
        let more = self.reader.fast().map_or((0, 0), Fast::connections);
        Some(pools.into_iter().flatten().map(conn::usage).fold(more, |all, one| (all.0 + one.0, all.1 + one.1)))
    }

    /// Closes all connections once their statements have ended.
    pub async fn close(self) -> Result<()> {
        self.stop.cancel();
        self.reader.close().await?;
        self.reserved().close().await?;
        self.writer.close().await?;
        Ok(())
    }

    /// How many of the given number of connections to PostgreSQL are for writing.
    pub fn writers(connections: u32) -> u32 {
        Share::of(connections).writers
    }

    /// True if other processes may use the same database.
    pub fn shared(&self) -> bool {
        matches!(self.location.as_ref(), Location::Postgres(_))
    }
}
