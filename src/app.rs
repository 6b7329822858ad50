//! The composition root: builds a running server from the settings.
//!
//! On SQLite, one server owns the database. It holds a lock file, so that no second server
//! works on the same file. All leases that it finds at the start belong to dead processes, so
//! it releases them at once. On PostgreSQL several servers share the database, and the leases
//! of a dead process expire.

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use integration::engine::Client;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::audit::journal::Journal;
use crate::audit::seal::SealFile;
use crate::auth::access::Access;
use crate::auth::members::Members;
use crate::auth::tokens::Tokens;
use crate::clock::{Clock, SteadyClock};
use crate::config::{Roles, Settings};
use crate::db::{Db, Location};
use crate::error::Error;
use crate::events::{self, Log};
use crate::findings::Findings;
use crate::graphql::answers::Answers;
use crate::graphql::api::{Api, Services};
use crate::graphql::budget::{self, Budgets};
use crate::graphql::id;
use crate::graphql::schema;
use crate::graphql::subscription::{EventSources, Subscriptions};
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::execution::Executor;
use crate::graphql::transport::origin::PublicOrigin;
use crate::graphql::transport::session_cookie::SessionCookie;
use crate::installation;
use crate::instance::authorization::Authorizations;
use crate::instance::{Instances, Running, grants};
use crate::jobs::{self, Heartbeat};
use crate::mail::Mailer;
use crate::maintenance::retention::{Pruner, Retention};
use crate::maintenance::{check, keys};
use crate::notification::test_mail::TestMail;
use crate::oidc::Oidc;
use crate::people::People;
use crate::people::erase::ledger::Ledger;
use crate::queue;
use crate::server::{self, Edge};
use crate::sync::{Engine, Limits, progress::Progress};

mod clients;
mod commands;
mod data_dir;
mod webhooks;

pub use clients::load_catalog;
pub use commands::{migrate, open_keys, open_members, open_people, open_tokens};
pub(crate) use data_dir::{DatabaseLock, prepare_data_dir};

/// How many waiting runs stay in memory. Other waiting runs release their job until the wait is over.
const WAITING_RUNS: usize = 512;
/// How long a stopping server waits for running work.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(9);

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// An error that a person has to fix, on one line.
    Fatal(String),
    /// The database cannot be used at the moment.
    Database(String),
}

impl From<String> for StartError {
    fn from(line: String) -> Self {
        StartError::Fatal(line)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        let line = error.chain().to_string();
        if error.is_passing() { StartError::Database(line) } else { StartError::Fatal(line) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (StartError::Fatal(line) | StartError::Database(line)) = self;
        f.write_str(line)
    }
}

/// A server that is ready to run.
pub struct App {
    pub settings: Settings,
    roles: Roles,
    pub clock: Clock,
    pub db: Db,
    pub tokens: Tokens,
    pub members: Members,
    pub instances: Instances,
    pub people: People,
    authorizations: Authorizations,
    pub engine: Engine,
    pub mailer: Mailer,
    webhook_client: Client,
    pub pruner: Pruner,
    log: Log<crate::instance::event::Event>,
    endpoint: Arc<Endpoint>,
    oidc: Option<Oidc>,
    edge: Edge,
    heartbeat: Heartbeat,
    shutdown: CancellationToken,
    /// The lock of a SQLite database, held as long as the server lives.
    lock: Option<DatabaseLock>,
}

impl App {
    /// Opens everything that a server needs.
    ///
    /// # Errors
    /// One line for the person who starts the server.
    pub async fn new(settings: Settings, roles: Roles, clock: Clock) -> Result<Self, StartError> {
        let location = settings.database()?;
        prepare_data_dir(&settings.data_dir)?;
        let lock = match &location {
            Location::Sqlite(file) => {
                if let Some(warning) = data_dir::missing_database(file, &settings) {
                    warn!("{warning}");
                }
                Some(DatabaseLock::take(file)?)
            }
            Location::Postgres(_) => None,
        };
        let db = Db::open(&location, settings.database_connections).await.map_err(|error| match error.into() {
            StartError::Fatal(line) => StartError::Fatal(format!("database {location}: {line}")),
            StartError::Database(line) => StartError::Database(format!("database {location}: {line}")),
        })?;
        let app = Box::pin(Self::on(db.clone(), settings, roles, clock, lock)).await;
        if app.is_err() {
            let _ = db.close().await;
        }
        app
    }

    /// Builds everything else on an open database.
    async fn on(
        db: Db,
        settings: Settings,
        roles: Roles,
        clock: Clock,
        lock: Option<DatabaseLock>,
    ) -> Result<Self, StartError> {
        let clock = db.clock(clock);
        let instances = open_instances(&db, &settings, &clock).await?;
        let (mailer, edge) = (clients::mailer(&settings)?, Edge::of(&settings)?);
        let webhook_client = clients::webhooks(&settings, &clock)?;
        if !db.shared() {
            release_stale_leases(&db).await?;
        }
        let people = settled_people(&db, &settings, &clock).await?;
        let tokens = Tokens::new(db.clone(), clock.clone(), instances.keys.clone());
        let issuer = settings.oidc()?.map(|provider| provider.issuer.into());
        let members = Members::new(db.clone(), clock.clone(), instances.keys.clone(), issuer);
        let oidc = clients::oidc(&settings, &db, &clock, &members.sessions)?;
        let access = Access { tokens: tokens.clone(), members: members.clone() };
        let engine = sync_engine(&instances, &settings);
        let log = Log::new(db.clone(), events::newest(db.read()).await?);
        let authorizations = Authorizations::new(instances.clone(), access.clone(), &engine.public_url);
        let shutdown = CancellationToken::new();
        let epoch = installation::log_epoch(&db).await?;
        let (shared, consents) = (instances.clone(), authorizations.clone());
        let api = Api::new(Services {
            instances: shared,
            authorizations: consents,
            members: members.clone(),
            people: people.clone(),
            findings: Findings { db: db.clone(), clock: clock.clone() },
            test_mail: test_mail(&db, &clock, &engine),
            webhooks: webhooks::commands(&instances, &settings, &engine),
            journal: Journal::new(db.clone(), clock.clone()),
            tokens: tokens.clone(),
            epoch,
        });
        let endpoint = endpoint(api, &engine, &log, access, &settings, &shutdown);
        let age_clock = SteadyClock::new(clock.clone());
        let pruner = Pruner { db: db.clone(), age_clock, retention: Retention::of(&settings) };
        Ok(Self {
            settings,
            roles,
            clock,
            db,
            tokens,
            members,
            instances,
            people,
            authorizations,
            engine,
            mailer,
            webhook_client,
            pruner,
            log,
            endpoint,
            oidc,
            edge,
            heartbeat: Heartbeat::default(),
            shutdown,
            lock,
        })
    }

    /// Stops the server when it is cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Runs the server until [`App::shutdown`] is cancelled. Then finishes or releases the running
    /// work within ten seconds. The exit code is a failure if it stopped because a newer version migrated the schema.
    pub async fn run(mut self, listener: TcpListener) -> ExitCode {
        let tasks = TaskTracker::new();
        let outdated = tasks.spawn(jobs::watch_schema(self.db.clone(), self.shutdown.clone()));
        if let Some(lock) = &mut self.lock {
            if lock.left_open {
                info!("the last server did not close the database; its file is checked in the background");
                tasks.spawn(check::in_background(self.db.clone(), self.shutdown.clone()));
            }
            lock.opened();
        }
        jobs::spawn(&self.jobs(), self.roles, &tasks, &self.shutdown).await;
        let heartbeat = self.roles.workers.then(|| self.heartbeat.clone());
        let mut router = server::health(self.db.clone(), heartbeat, self.shutdown.clone());
        if self.roles.api {
            tasks.spawn(self.tokens.clone().follow_uses(self.shutdown.clone()));
            let (endpoint, instances) = (self.endpoint.clone(), self.instances.clone());
            let (most_users, grants) = (self.settings.max_users_per_instance.into(), self.authorizations.clone());
            router = router.merge(server::api(endpoint, instances, most_users, grants, self.oidc.clone()));
        }
        let serving = server::serve(&listener, &self.edge, router, self.shutdown.clone());
        let renewals = self.instances.renewals.clone();
        let finished = async {
            serving.await;
            tasks.close();
            tasks.wait().await;
            renewals.close();
            renewals.wait().await;
        };
        let timed_out = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            () = finished => {}
            () = timed_out => warn!("some work did not stop in time; another process, or the next start, will continue it"),
        }
        match self.db.close().await {
            Ok(()) => {
                if let Some(lock) = &mut self.lock {
                    lock.closed();
                }
            }
            Err(error) => warn!(error = %error.chain(), "the database did not close cleanly"),
        }
        info!("stopped");
        if outdated.await.unwrap_or_default() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn jobs(&self) -> jobs::Tools {
        jobs::Tools {
            db: self.db.clone(),
            clock: self.clock.clone(),
            engine: self.engine.clone(),
            instances: self.instances.clone(),
            people: self.people.clone(),
            authorizations: self.authorizations.clone(),
            mailer: self.mailer.clone(),
            sender: self.sender(),
            pruner: self.pruner.clone(),
            log: self.log.clone(),
            journal: self.endpoint.executor.journal().clone(),
            seal: SealFile::new(&self.settings.data_dir, self.instances.keys.clone()),
            progress: self.engine.progress.clone(),
            heartbeat: self.heartbeat.clone(),
            sync_concurrency: self.settings.sync_concurrency,
        }
    }
}

/// Opens the secret keys and the catalog.
async fn open_instances(db: &Db, settings: &Settings, clock: &Clock) -> Result<Instances, StartError> {
    let keys = keys::open(db, &settings.secret_key_file()).await?;
    let (catalog, faults) = load_catalog(settings, clock.clone())?;
    for fault in faults {
        warn!(fault = %fault, "a connector manifest has an error and is left out");
    }
    Ok(Instances {
        db: db.clone(),
        clock: clock.clone(),
        catalog: Arc::new(catalog),
        keys,
        running: Running::default(),
        renewals: TaskTracker::new(),
    })
}

/// The people, once everybody is erased again of whom an older database knows something.
async fn settled_people(db: &Db, settings: &Settings, clock: &Clock) -> Result<People, StartError> {
    let people = People { db: db.clone(), clock: clock.clone(), ledger: Ledger::new(&settings.data_dir) };
    Box::pin(people.settle_erasures()).await?;
    Ok(people)
}

fn test_mail(db: &Db, clock: &Clock, engine: &Engine) -> TestMail {
    let (db, clock, mail_host) = (db.clone(), clock.clone(), engine.mail_host.clone());
    TestMail { db, clock, public_url: engine.public_url.clone(), mail_host }
}

fn sync_engine(instances: &Instances, settings: &Settings) -> Engine {
    let public_url: Arc<str> = settings.public_url().into();
    let mail_host = clients::mail_host(&public_url).into();
    let writers = Db::writers(settings.database_connections) as usize;
    Engine {
        instances: instances.clone(),
        progress: Progress::default(),
        limits: Limits::new(settings),
        public_url,
        page_of: id::page_of_instance,
        mail_host,
        writers: Arc::new(Semaphore::new(if instances.db.shared() { (writers / 2).max(1) } else { 1 })),
        waiting_room: Arc::new(Semaphore::new(WAITING_RUNS)),
    }
}

/// The API with everything that it works with.
fn endpoint(
    api: Api,
    engine: &Engine,
    log: &Log<crate::instance::event::Event>,
    access: Access,
    settings: &Settings,
    shutdown: &CancellationToken,
) -> Arc<Endpoint> {
    let sources = EventSources {
        db: api.instances.db.clone(),
        clock: api.instances.clock.clone(),
        log: log.clone(),
        progress: engine.progress.clone(),
        epoch: api.epoch,
    };
    let answers = Answers::new(sources.db.clone(), sources.clock.clone());
    let schema = schema::build();
    let subscriptions = Subscriptions::new(api.clone(), schema.clone(), sources, shutdown.clone());
    Arc::new(Endpoint {
        executor: Executor::new(api, schema, subscriptions, answers, settings.introspection),
        access,
        budgets: Arc::new(Budgets::new(budget::Limits::of(settings))),
        origin: PublicOrigin::of(&engine.public_url),
        session_cookie: SessionCookie::new(settings.has_secure_context()),
        shutdown: shutdown.clone(),
    })
}

/// Binds the address of the settings.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let next = if taken { "; another program listens there: stop it, or set another port" } else { "" };
        format!("setting listen: {address}: {error}{next}")
    })
}

/// Releases all leases. On SQLite no other server is running, so they belong to processes that died.
async fn release_stale_leases(db: &Db) -> crate::error::Result<()> {
    let expired = db
        .write(|tx| async move {
            grants::expire_leases(&tx).await?;
            queue::expire_leases(&tx).await
        })
        .await?;
    if expired > 0 {
        info!(jobs = expired, "released the jobs of a process that died");
    }
    Ok(())
}
