//! What every test begins with: a server of its own, and ways to ask it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use muster::app::App;
use muster::auth::{Role, Tokens};
use muster::clock::Clock;
use muster::config::Settings;
use muster::db::Db;
use muster::sync::Limits;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub mod ask;
mod client;
pub mod peer;
pub mod wire;

pub use client::{Client, http};

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server in this process, on a port and a data folder of its own. To ask it, see [`Client`].
pub struct Server {
    client: Client,
    pub viewer: String,
    pub db: Db,
    pub tokens: Tokens,
    pub dir: TempDir,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

type Change<T> = Box<dyn FnOnce(&mut T)>;

/// How a server differs from the defaults.
pub struct Builder {
    dir: TempDir,
    clock: Clock,
    settings: Vec<Change<Settings>>,
    limits: Vec<Change<Limits>>,
}

impl Builder {
    /// A data folder that another server has left.
    pub fn dir(mut self, dir: TempDir) -> Self {
        self.dir = dir;
        self
    }

    /// Its data folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.settings.push(Box::new(change));
        self
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits) + 'static) -> Self {
        self.limits.push(Box::new(change));
        self
    }

    pub async fn start(self) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = Settings::defaults(self.dir.path());
        settings.listen = listener.local_addr().unwrap();
        for change in self.settings {
            change(&mut settings);
        }
        let mut app = App::new(settings, self.clock).await.unwrap();
        for change in self.limits {
            change(&mut app.engine.limits);
        }
        let admin = app.tokens.create("admin", Role::Admin, Some("ada@example.com".into())).await.unwrap();
        let viewer = app.tokens.create("viewer", Role::Viewer, None).await.unwrap();
        Server {
            client: Client::new(format!("http://{}", listener.local_addr().unwrap()), admin),
            viewer,
            db: app.db.clone(),
            tokens: app.tokens.clone(),
            dir: self.dir,
            shutdown: app.shutdown(),
            running: tokio::spawn(app.run(listener)),
        }
    }
}

impl Server {
    pub fn builder() -> Builder {
        Builder { dir: tempfile::tempdir().unwrap(), clock: Clock::System, settings: Vec::new(), limits: Vec::new() }
    }

    pub async fn start() -> Server {
        Self::builder().start().await
    }

    pub fn mail_dir(&self) -> PathBuf {
        self.dir.path().join("mail")
    }

    /// Stops gracefully and gives the data folder back.
    pub async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.dir
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
