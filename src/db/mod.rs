//! The database: how it is opened, how it is read and written, and who is woken by it.
//!
//! **Two databases, one meaning.** SQLite is embedded and belongs to one process;
//! PostgreSQL is shared by as many as there are. Everything above sees [`Db`]. What
//! differs is in [`sqlite`], [`postgres`], [`trouble`], in the bulk statements of the
//! sync, and in the migrations.
//!
//! **Writing** is [`Db::write`]: a closure in a transaction. What it announces (new
//! events, new jobs) wakes its listeners after the commit and never before, on the other
//! replicas too. A wake-up may be lost; the tables are the truth, and every listener
//! looks at them again by itself after a while. Events are numbered in the order in which
//! they become visible, so whoever reads the log by number misses none.
//!
//! **Trouble.** A transaction that the database undoes (a deadlock, a connection that is
//! lost) is run again as a whole. When the answer to COMMIT is lost, the database is asked
//! what became of it, so that nothing is done twice and nothing is taken for lost that was
//! done. A database that cannot be used is [`Error::Unavailable`], at the latest after the
//! time that a statement may take.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait, IsolationLevel, QuerySelect,
    Select, SqliteTransactionMode, TransactionOptions, TransactionTrait, TryGetableMany,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::{Error, Result};
use conn::{Reader, Timed};
use wake::Wake;

mod conn;
pub mod keyset;
mod location;
mod migrate;
mod postgres;
mod sqlite;
mod trouble;
mod wake;

pub use location::Location;
pub use trouble::{Trouble, is_duplicate, judge};
pub use wake::Topic;

/// How long a statement may take.
pub const STATEMENT: Duration = Duration::from_secs(20);
/// How long the beginning of a transaction may take: waiting for a connection, and one round trip.
const BEGIN: Duration = Duration::from_secs(6);
/// How long a commit may take, before the database is asked what became of it.
const COMMIT: Duration = Duration::from_secs(8);
/// How often a transaction that the database undid is run.
const TRIES: u32 = 6;
/// After how long it is not run again: somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// A handle on the database; clones share it.
#[derive(Clone)]
pub struct Db {
    location: Arc<Location>,
    reader: Arc<Reader>,
    writer: DatabaseConnection,
    wake: Arc<Wake>,
    /// The time of the database; SQLite has none of its own.
    time: Option<Clock>,
    /// Ends what runs beside.
    stop: CancellationToken,
}

impl Db {
    /// Opens the database and brings its schema up to date. `connections` is how many this
    /// process keeps to PostgreSQL, besides the one on which it is woken.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it may be worth another try.
    pub async fn open(location: &Location, connections: u32) -> Result<Self> {
        let (reader, writer) = match location {
            Location::Sqlite(file) => sqlite::open(file).await?,
            Location::Postgres(url) => postgres::open(url, connections).await?,
        };
        let mut db = Self::of(location, reader, writer);
        migrate::up(&db).await?;
        if let Location::Postgres(url) = location {
            db.time = Some(postgres::follow_time(&db).await?);
            postgres::spread(&db, url);
        }
        Ok(db)
    }

    /// Opens the database as it is, to look at it; nothing is changed, also not its schema.
    pub async fn inspect(location: &Location) -> Result<Self> {
        let (reader, writer) = match location {
            Location::Sqlite(file) => sqlite::inspect(file).await?,
            Location::Postgres(url) => postgres::open(url, 2).await?,
        };
        Ok(Self::of(location, reader, writer))
    }

    fn of(location: &Location, reader: DatabaseConnection, writer: DatabaseConnection) -> Self {
        Db {
            location: Arc::new(location.clone()),
            reader: Arc::new(Reader::new(reader)),
            writer,
            wake: Arc::default(),
            time: None,
            stop: CancellationToken::new(),
        }
    }

    pub fn backend(&self) -> DbBackend {
        self.location.backend()
    }

    /// The file, when it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self.location.as_ref() {
            Location::Sqlite(file) => Some(file),
            Location::Postgres(_) => None,
        }
    }

    /// The clock by which leases and schedules go: the database's, if several processes
    /// share it, so that they agree; a clock that a test turns stays what it is.
    pub fn clock(&self, own: Clock) -> Clock {
        match (&self.time, own) {
            (Some(time), Clock::System) => time.clone(),
            (_, own) => own,
        }
    }

    /// For statements that change nothing.
    pub fn read(&self) -> &Reader {
        &self.reader
    }

    /// A view that does not move while several statements look at it.
    pub async fn view(&self) -> Result<View> {
        let options = TransactionOptions {
            isolation_level: self.shared().then_some(IsolationLevel::RepeatableRead),
            access_mode: self.shared().then_some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        };
        Ok(View(Timed::new(self.reader.begin(options).await?)))
    }

    /// Runs `work` in a transaction: `Ok` commits, `Err` undoes. It is run again when the
    /// database undid it, so it must do nothing but change rows, and look at them afresh.
    ///
    /// # Errors
    /// What `work` answers; [`Error::Unavailable`] when nothing was changed because the
    /// database cannot be used; [`Error::Uncertain`] when that cannot be learned.
    pub async fn write<T, W>(&self, work: impl Fn(Tx) -> W) -> Result<T>
    where
        W: Future<Output = Result<T>>,
    {
        let begun = tokio::time::Instant::now();
        for attempt in 1.. {
            let undone = match self.attempt(&work).await {
                Err(Error::Undone(text)) => text,
                done => return done,
            };
            metrics::counter!("muster_database_transactions_undone_total").increment(1);
            if attempt >= TRIES || begun.elapsed() > PATIENCE {
                return Err(Error::Unavailable(undone));
            }
            tracing::info!(error = %undone, attempt, "a transaction was undone by the database and is run again");
            // Rivals that met once should not meet again.
            let wait = f64::from(1 << attempt) * 10.0 * (0.5 + fastrand::f64());
            tokio::time::sleep(Duration::from_secs_f64(wait / 1000.0)).await;
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
        let tx = Tx(Arc::new(Inner { conn: Timed::new(begun), announced: AtomicU8::new(0), events: Mutex::default() }));
        let answer = work(tx.clone()).await?;
        let tx = Arc::into_inner(tx.0).ok_or_else(|| Error::Internal("a transaction outlived its work".into()))?;
        self.commit(tx).await?;
        Ok(answer)
    }

    async fn commit(&self, tx: Inner) -> Result<()> {
        let Inner { conn, announced, events } = tx;
        let events = events.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Last of all, because on PostgreSQL those who write events commit one after another.
        let fate = if self.shared() {
            let now = self.clock(Clock::System).now();
            Some(postgres::fate(&conn, !events.is_empty(), now).await?)
        } else {
            None
        };
        if !events.is_empty() {
            entity::event::Entity::insert_many(events).exec_without_returning(&conn).await?;
        }
        match fate {
            // Begun, SQLite's commit goes on whether somebody waits for it or not.
            None => conn.into_inner().commit().await?,
            Some(fate) => {
                if let Err(error) = conn::in_time(COMMIT, conn.into_inner().commit()).await {
                    postgres::settle(self, fate, &error).await?;
                }
            }
        }
        self.wake.announce(announced.into_inner());
        Ok(())
    }

    /// A receiver that changes after each commit that announced `topic`, also another replica's.
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.wake.listen(topic)
    }

    /// How many statements were executed since the start, transactions' own not counted.
    pub fn statements(&self) -> u64 {
        self.reader.statements()
    }

    /// Whether the database answers, and how far it can be used.
    pub async fn ping(&self) -> Result<()> {
        use sea_orm::ConnectionTrait;
        self.reader.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    /// How many connections are open, and how many of them are at work; `None` for a file.
    pub fn connections(&self) -> Option<(u32, u32)> {
        if !self.shared() {
            return None;
        }
        let pools = [self.reader.pool(), &self.writer].map(DatabaseConnection::get_postgres_connection_pool);
        let open: u32 = pools.iter().map(|pool| pool.size()).sum();
        let idle: usize = pools.iter().map(|pool| pool.num_idle()).sum();
        Some((open, open.saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX))))
    }

    /// Ends all connections, after what they are doing.
    pub async fn close(self) -> Result<()> {
        self.stop.cancel();
        self.reader.pool().clone().close().await?;
        self.writer.close().await?;
        Ok(())
    }

    /// How many of so many connections to PostgreSQL write.
    pub fn writers(connections: u32) -> u32 {
        (connections / 2).max(1)
    }

    /// Whether other processes may work on the same database.
    pub fn shared(&self) -> bool {
        matches!(self.location.as_ref(), Location::Postgres(_))
    }
}

/// A read transaction.
pub struct View(Timed<DatabaseTransaction>);

impl View {
    /// The connection to run statements on.
    pub fn conn(&self) -> &Timed<DatabaseTransaction> {
        &self.0
    }

    /// Lets each statement from here on take this long.
    pub async fn allow(&self, time: Duration) -> Result<()> {
        self.0.allow(time);
        postgres::allow(&self.0, time).await
    }

    /// Gives the connection back. Dropping the view does so, too, a little later.
    pub async fn close(self) -> Result<()> {
        Ok(conn::in_time(STATEMENT, self.0.into_inner().commit()).await?)
    }
}

/// A writing transaction; clones are the same one.
#[derive(Clone)]
pub struct Tx(Arc<Inner>);

struct Inner {
    conn: Timed<DatabaseTransaction>,
    announced: AtomicU8,
    events: Mutex<Vec<entity::event::ActiveModel>>,
}

impl Tx {
    /// The connection to run statements on.
    pub fn conn(&self) -> &Timed<DatabaseTransaction> {
        &self.0.conn
    }

    /// The values of those rows that nobody else holds, which are held until the transaction
    /// ends. SQLite's transactions hold the whole database anyway.
    pub async fn hold_free<E: EntityTrait, T: TryGetableMany>(&self, rows: Select<E>) -> Result<Vec<T>> {
        let free = rows.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        Ok(free.into_tuple().all(self.conn()).await?)
    }

    /// Wakes the listeners of `topic` once this is committed.
    pub fn announce(&self, topic: Topic) {
        self.0.announced.fetch_or(1 << topic as u8, Ordering::Relaxed);
    }

    /// Writes the event when this is committed.
    pub fn log(&self, event: entity::event::ActiveModel) {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        self.announce(Topic::Events);
    }

    /// Lets each statement from here on take this long: for the few that touch very many rows.
    pub async fn allow(&self, time: Duration) -> Result<()> {
        if self.0.conn.time() == time {
            return Ok(());
        }
        self.0.conn.allow(time);
        postgres::allow(&self.0.conn, time).await
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let text = format!("database: {error}");
        match judge(&error) {
            Trouble::Undone => Error::Undone(text),
            Trouble::Unavailable => Error::Unavailable(text),
            Trouble::Text => trouble::unstorable(),
            Trouble::Other => Error::Internal(text),
        }
    }
}
