//! A server for each test, and ways to call it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use muster::app::App;
use muster::auth::Role;
use muster::auth::members::Members;
use muster::auth::tokens::{NewToken, Tokens};
use muster::clock::Clock;
use muster::config::{Roles, Settings};
use muster::db::{Db, Location};
use muster::sync::Limits;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub mod ask;
pub mod authority;
mod client;
pub mod peer;
mod place;
mod template;
pub mod wire;

pub use client::{Client, http, patient_http};
pub use place::{Database, Place, assert_intact, change, one, stored};

/// How long a test waits for a condition.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server in this process with its own port, data folder and database. See [`Client`] for calls.
pub struct Server {
    client: Client,
    pub viewer: String,
    pub db: Db,
    pub tokens: Tokens,
    pub members: Members,
    pub place: Place,
    shutdown: CancellationToken,
    running: JoinHandle<ExitCode>,
}

type Change<T> = Box<dyn FnOnce(&mut T)>;

/// Builds a server that differs from the defaults.
pub struct Builder {
    /// Its data folder, unless it uses what another server has left.
    dir: TempDir,
    left: Option<Place>,
    address: SocketAddr,
    clock: Clock,
    settings: Vec<Change<Settings>>,
    limits: Vec<Change<Limits>>,
}

impl Builder {
    /// Its data folder.
    pub fn path(&self) -> &Path {
        self.left.as_ref().map_or(self.dir.path(), Place::path)
    }

    /// Uses the storage that another server has left.
    pub fn place(mut self, place: Place) -> Self {
        self.left = Some(place);
        self
    }

    /// Listens there, instead of at a free port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
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
        let listener = TcpListener::bind(self.address).await.unwrap();
        let place = match self.left {
            Some(place) => place,
            None => Place::migrated(self.dir).await,
        };
        let mut settings = Settings::defaults(place.path());
        settings.set_database(place.database.url().map(str::to_owned));
        settings.listen = listener.local_addr().unwrap();
        for change in self.settings {
            change(&mut settings);
        }
        // In boxes, because tests are futures with a small stack.
        let app = Box::pin(App::new(settings, Roles::BOTH, self.clock));
        let mut app = app.await.unwrap_or_else(|error| panic!("{error}"));
        for change in self.limits {
            change(&mut app.engine.limits);
        }
        let admin = NewToken { email: Some("ada@example.com".into()), ..NewToken::new("admin", Role::Admin) };
        let admin = app.tokens.create(admin).await.unwrap().text;
        let viewer = app.tokens.create(NewToken::new("viewer", Role::Viewer)).await.unwrap().text;
        Server {
            client: Client::new(format!("http://{}", listener.local_addr().unwrap()), admin),
            viewer,
            db: app.db.clone(),
            tokens: app.tokens.clone(),
            members: app.members.clone(),
            place,
            shutdown: app.shutdown(),
            running: tokio::spawn(Box::pin(app.run(listener))),
        }
    }
}

/// Sets the address at which people reach the server, which only a file or the environment can set.
pub fn publish(settings: &mut Settings, url: &str) {
    let file = json!({ "data_dir": settings.data_dir, "listen": settings.listen, "public_url": url });
    let before = std::mem::replace(settings, serde_json::from_value(file).unwrap());
    if let Ok(Location::Postgres(url)) = before.database() {
        settings.set_database(Some(url));
    }
    settings.connectors_dir = before.connectors_dir;
    settings.allowed_networks = before.allowed_networks;
}

impl Server {
    pub fn builder() -> Builder {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let dir = tempfile::tempdir().unwrap();
        Builder { dir, left: None, address, clock: Clock::System, settings: Vec::new(), limits: Vec::new() }
    }

    pub async fn start() -> Server {
        Self::builder().start().await
    }

    pub fn mail_dir(&self) -> PathBuf {
        self.place.path().join("mail")
    }

    /// Stops gracefully and returns the storage.
    pub async fn stop(self) -> Place {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.place
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
