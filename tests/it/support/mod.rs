//! What every test begins with: a server of its own, and ways to ask it.

use std::path::PathBuf;
use std::time::Duration;

use muster::app::App;
use muster::auth::{Role, Tokens};
use muster::clock::Clock;
use muster::config::Settings;
use muster::db::Db;
use muster::sync::Limits;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server in this process, on a port and a data folder of its own.
pub struct Server {
    pub url: String,
    pub admin: String,
    pub viewer: String,
    pub db: Db,
    pub tokens: Tokens,
    pub dir: TempDir,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), String>>,
    http: reqwest::Client,
}

/// How a server differs from the defaults.
pub struct Builder {
    dir: TempDir,
    clock: Clock,
    settings: Vec<Box<dyn FnOnce(&mut Settings)>>,
    limits: Vec<Box<dyn FnOnce(&mut Limits)>>,
}

impl Builder {
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
            url: format!("http://{}", listener.local_addr().unwrap()),
            admin,
            viewer,
            db: app.db.clone(),
            tokens: app.tokens.clone(),
            dir: self.dir,
            shutdown: app.shutdown(),
            running: tokio::spawn(app.run(listener)),
            http: reqwest::Client::new(),
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
        self.running.await.unwrap().unwrap();
        self.dir
    }

    /// The whole answer to a document.
    pub async fn ask_as(&self, token: &str, query: &str, variables: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/graphql", self.url))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(json!({ "query": query, "variables": variables }).to_string())
            .send()
            .await
            .unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// The data of an answer that has no errors.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask_as(&self.admin, query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    /// Creates a rehearsal instance and gives its id.
    pub async fn rehearse(&self, name: &str, config: &[(&str, &str)]) -> String {
        let config: Vec<_> = config.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let data = self
            .ask(
                "mutation($input: CreateInstanceInput!) { createInstance(input: $input) { instance { id } userErrors { code message field } } }",
                json!({ "input": { "integrationKey": "rehearsal", "name": name, "config": config } }),
            )
            .await;
        assert_eq!(data["createInstance"]["userErrors"], json!([]));
        data["createInstance"]["instance"]["id"].as_str().unwrap().to_owned()
    }

    /// The fields of an instance.
    pub async fn instance(&self, id: &str, fields: &str) -> Value {
        let query = format!("query($id: ID!) {{ instance(id: $id) {{ {fields} }} }}");
        self.ask(&query, json!({ "id": id })).await["instance"].clone()
    }

    /// Waits until the fields of an instance are as wanted, and gives them.
    pub async fn until(&self, id: &str, fields: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let found = self.instance(id, fields).await;
            if wanted(&found) {
                return found;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited too long; it is {found:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no run is active, and gives the fields.
    pub async fn idle(&self, id: &str, fields: &str) -> Value {
        self.until(id, &format!("syncState {fields}"), |found| found["syncState"] == "IDLE").await
    }

    /// Asks for a sync and waits for its end; gives the run's fields.
    pub async fn sync(&self, id: &str, fields: &str) -> Value {
        let data = self
            .ask(
                "mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } userErrors { code message } } }",
                json!({ "id": id }),
            )
            .await;
        assert_eq!(data["syncInstance"]["userErrors"], json!([]));
        let run = data["syncInstance"]["run"]["id"].clone();
        self.idle(id, "").await;
        let query = format!("query($id: ID!) {{ syncRun(id: $id) {{ {fields} }} }}");
        self.ask(&query, json!({ "id": run })).await["syncRun"].clone()
    }
}
