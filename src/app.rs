//! The composition root: from settings to a running server.
//!
//! On SQLite a server owns its database: it holds a lock beside it, so that two of them
//! cannot work on one file and each believe it is alone. What it finds claimed at the start
//! was claimed by a process that is gone, and is taken over at once. On PostgreSQL there may
//! be others: what a process that is gone has claimed is taken over when its lease runs out.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use integration::catalog::Catalog;
use integration::engine::{Client, ClientSettings};
use integration::manifest::Fault;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::auth::Tokens;
use crate::clock::{Clock, Steady};
use crate::config::{Roles, Settings};
use crate::db::{Db, Location};
use crate::error::Error;
use crate::events::{self, Feed};
use crate::graphql::api::{Api, ApiTools};
use crate::graphql::schema;
use crate::graphql::transport::gateway::Gateway;
use crate::installation;
use crate::instance::authorization::Authorizations;
use crate::instance::{Instances, Running, grants};
use crate::jobs::{self, Beat};
use crate::keep::{Keeper, Retention};
use crate::mail::Mailer;
use crate::notification::test_mail::TestMail;
use crate::queue;
use crate::server;
use crate::sync::{Engine, Limits, progress::Progress};

/// How long a stopping server waits for what it has begun.
const GRACE: Duration = Duration::from_secs(9);

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// Something that somebody has to mend, in one line.
    Fatal(String),
    /// The database cannot be used for the moment.
    Database(String),
}

impl From<String> for StartError {
    fn from(line: String) -> Self {
        StartError::Fatal(line)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        let line = error.to_string();
        if error.is_passing() { StartError::Database(line) } else { StartError::Fatal(line) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (StartError::Fatal(line) | StartError::Database(line)) = self;
        f.write_str(line)
    }
}

/// How many connections a command needs that is no server.
const COMMAND_CONNECTIONS: u32 = 3;

/// A server that is ready to be run.
pub struct App {
    pub settings: Settings,
    roles: Roles,
    pub clock: Clock,
    pub db: Db,
    pub tokens: Tokens,
    pub instances: Instances,
    authorizations: Authorizations,
    pub engine: Engine,
    pub mailer: Mailer,
    pub keeper: Keeper,
    feed: Feed<crate::instance::event::Event>,
    /// The newest event at the start; the feed goes on from there.
    newest: i64,
    gateway: Gateway,
    beat: Beat,
    shutdown: CancellationToken,
    /// Held as long as the server lives, if the database is a file.
    _lock: Option<File>,
}

/// The database and the tokens of a data folder, for commands that need no more.
pub async fn open_tokens(settings: &Settings) -> Result<Tokens, String> {
    let location = settings.database()?;
    if matches!(location, Location::Sqlite(_)) {
        if !settings.data_dir.exists() {
            // Whoever is in the wrong folder should notice.
            eprintln!("muster: makes the data folder {}", settings.data_dir.display());
        }
        prepare(&settings.data_dir)?;
    }
    let db = Db::open(&location, COMMAND_CONNECTIONS).await.map_err(|error| format!("database {location}: {error}"))?;
    let clock = db.clock(Clock::System);
    Ok(Tokens::new(db, clock))
}

impl App {
    /// Opens everything that a server needs.
    ///
    /// # Errors
    /// One line for whoever starts it.
    pub async fn new(settings: Settings, roles: Roles, clock: Clock) -> Result<Self, StartError> {
        let location = settings.database()?;
        prepare(&settings.data_dir)?;
        let lock = match &location {
            Location::Sqlite(file) => Some(lock(file)?),
            Location::Postgres(_) => None,
        };
        let db = Db::open(&location, settings.database_connections).await.map_err(|error| match error.into() {
            StartError::Fatal(line) => StartError::Fatal(format!("database {location}: {line}")),
            StartError::Database(line) => StartError::Database(format!("database {location}: {line}")),
        })?;
        let app = Self::on(db.clone(), settings, roles, clock, lock).await;
        if app.is_err() {
            let _ = db.close().await;
        }
        app
    }

    /// Builds the rest on a database that is open.
    async fn on(
        db: Db,
        settings: Settings,
        roles: Roles,
        clock: Clock,
        lock: Option<File>,
    ) -> Result<Self, StartError> {
        let clock = db.clock(clock);
        let keys = Arc::new(installation::key(&db, &settings.secret_key_file()).await?);
        let (catalog, faults) = load_catalog(&settings, clock.clone())?;
        for fault in faults {
            warn!(fault = %fault, "a connector manifest has a fault and is left out");
        }
        let mailer = Mailer::new(settings.smtp_url.as_deref(), &settings.mail_from, &settings.data_dir.join("mail"))?;

        let tokens = Tokens::new(db.clone(), clock.clone());
        let instances = Instances {
            db: db.clone(),
            clock: clock.clone(),
            catalog: Arc::new(catalog),
            keys,
            running: Running::default(),
            renewals: TaskTracker::new(),
        };
        let key_file = settings.secret_key_file();
        instances.check_key().await.map_err(|error| format!("secret key file {}: {error}", key_file.display()))?;
        if !db.shared() {
            take_over(&db).await?;
        }

        let public_url: Arc<str> = settings.public_url().into();
        let mail_host: Arc<str> = mail_host(&public_url).into();
        let progress = Progress::default();
        let engine = Engine {
            instances: instances.clone(),
            progress: progress.clone(),
            limits: Limits::new(settings.removal_guard_percent, settings.removal_guard_minimum),
            public_url: public_url.clone(),
            mail_host: mail_host.clone(),
        };
        let feed = Feed::default();
        let newest = events::newest(db.read()).await?;
        let test_mail = TestMail { db: db.clone(), clock: clock.clone(), public_url: public_url.clone(), mail_host };
        let authorizations = Authorizations::new(instances.clone(), tokens.clone(), &public_url);
        let api: Api = Arc::new(ApiTools {
            instances: instances.clone(),
            authorizations: authorizations.clone(),
            feed: feed.clone(),
            progress,
            test_mail,
            epoch: installation::epoch(&db).await?,
        });
        let shutdown = CancellationToken::new();
        let gateway = Gateway::new(
            schema::with_tools(api.clone()),
            api,
            tokens.clone(),
            settings.introspection,
            &public_url,
            shutdown.clone(),
        );
        let keeper = Keeper { db: db.clone(), ages: Steady::new(clock.clone()), retention: Retention::of(&settings) };
        Ok(Self {
            settings,
            roles,
            clock,
            db,
            tokens,
            instances,
            authorizations,
            engine,
            mailer,
            keeper,
            feed,
            newest,
            gateway,
            beat: Beat::default(),
            shutdown,
            _lock: lock,
        })
    }

    /// Stops the server when it is cancelled.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Serves and works until [`App::shutdown`] is cancelled, then finishes or gives
    /// back what was begun, within ten seconds.
    pub async fn run(self, listener: TcpListener) {
        let tasks = TaskTracker::new();
        jobs::spawn(&self.jobs(), self.roles, &tasks, &self.shutdown);
        let beat = self.roles.workers.then(|| self.beat.clone());
        let mut router = server::health(self.db.clone(), beat, self.shutdown.clone());
        if self.roles.api {
            router = router.merge(server::doors(self.gateway.clone(), self.authorizations.clone()));
        }
        let serving = server::serve(&listener, server::dressed(router), self.shutdown.clone());
        let renewals = self.instances.renewals.clone();
        let finished = async {
            serving.await;
            tasks.close();
            tasks.wait().await;
            renewals.close();
            renewals.wait().await;
        };
        let out_of_time = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = finished => {}
            () = out_of_time => warn!("some work did not stop in time; it is taken over at the next start"),
        }
        if let Err(error) = self.db.close().await {
            warn!(error = %error, "the database did not close cleanly");
        }
        info!("stopped");
    }

    fn jobs(&self) -> jobs::Tools {
        jobs::Tools {
            db: self.db.clone(),
            clock: self.clock.clone(),
            engine: self.engine.clone(),
            instances: self.instances.clone(),
            authorizations: self.authorizations.clone(),
            mailer: self.mailer.clone(),
            keeper: self.keeper.clone(),
            feed: self.feed.clone(),
            newest: self.newest,
            progress: self.engine.progress.clone(),
            beat: self.beat.clone(),
            sync_concurrency: self.settings.sync_concurrency,
        }
    }
}

/// The catalog, and the faults of the manifests that were left out of it.
pub fn load_catalog(settings: &Settings, clock: Clock) -> Result<(Catalog, Vec<Fault>), String> {
    let client = ClientSettings::new(settings.allowed_networks.clone(), move || clock.now(), fastrand::f64);
    let client = Client::new(client).map_err(|error| format!("HTTP client: {error}"))?;
    Catalog::load(client, settings.connectors_dir.as_deref())
}

/// Binds the address of the settings.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("setting listen: {address}: {error}"))
}

/// Makes the data folder, for its owner alone.
pub(crate) fn prepare(dir: &Path) -> Result<(), String> {
    let at = |error: std::io::Error| format!("setting data_dir: {}: {error}", dir.display());
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at)?;
    }
    let mode = fs::metadata(dir).map_err(at)?.permissions().mode();
    if mode & 0o077 != 0 {
        warn!(dir = %dir.display(), "others on this machine may look into the data folder; make it 0700");
    }
    Ok(())
}

/// One server works on a database; the lock lies beside it.
pub(crate) fn lock(database: &Path) -> Result<File, String> {
    let path = database.with_extension("lock");
    let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("setting data_dir: another muster is running on {}", database.display()))
        }
        Err(TryLockError::Error(error)) => Err(format!("{}: {error}", path.display())),
    }
}

/// Nobody else works on this database, so whatever is claimed was claimed by a process that died.
async fn take_over(db: &Db) -> crate::error::Result<()> {
    let expired = db
        .write(|tx| async move {
            grants::expire_leases(&tx).await?;
            queue::expire_leases(&tx).await
        })
        .await?;
    if expired > 0 {
        info!(jobs = expired, "work of a process that died is taken over");
    }
    Ok(())
}

/// What Message-IDs name: the host of the public address.
fn mail_host(public_url: &str) -> String {
    let host = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    // An IP address is no domain, and some mail servers are strict about it.
    host.filter(|host| host.parse::<std::net::IpAddr>().is_err()).unwrap_or_else(|| "muster.localhost".into())
}
