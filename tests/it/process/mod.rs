//! The program as an operator runs it: started, stopped, killed and called.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use muster::db::Location;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{self, Client, DEADLINE, Database, http};

mod cli;
mod data_on_sqlite;
mod demo;
mod first_start;
mod hardening;
mod health;
mod keys;
pub mod kill;
mod kill_mail;
mod monitoring;
mod secrets;
pub mod settings;
mod stop;
mod systemd;
mod telemetry;
mod tls;

/// One installation: its data folder, database, port and settings. It outlives its processes.
pub struct Home {
    pub dir: TempDir,
    pub database: Arc<Database>,
    pub port: u16,
    settings: Vec<(String, String)>,
}

impl Home {
    pub fn new() -> Home {
        Self::on(Arc::new(Database::new()))
    }

    /// An installation on SQLite, whichever database the tests run on.
    pub fn on_sqlite() -> Home {
        Self::on(Arc::new(Database::File))
    }

    /// Another port and data folder on the same database, with the same secret key.
    pub fn replica(&self) -> Home {
        let key = self.data_dir().join("secret.key").display().to_string();
        let replica = Home { settings: self.settings.clone(), ..Self::on(self.database.clone()) };
        replica.set("SECRET_KEY_FILE", key)
    }

    fn on(database: Arc<Database>) -> Home {
        Home { dir: tempfile::tempdir().unwrap(), database, port: free_port(), settings: Vec::new() }
    }

    /// Adds a setting; `name` is without `MUSTER_`.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Home {
        self.settings.push((format!("MUSTER_{name}"), value.into()));
        self
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The program, with these settings only.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MUSTER_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("MUSTER_DATA_DIR", self.data_dir())
            .env("MUSTER_LISTEN", format!("127.0.0.1:{}", self.port))
            .envs(self.database.url().map(|url| ("MUSTER_DATABASE_URL", url)))
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A new token of an administrator with an e-mail address.
    pub fn token(&self) -> String {
        let made = self.run(&["token", "create", "--name", "tests", "--email", "ada@example.com"]);
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Starts the server and waits until it is ready.
    pub async fn serve(&self, token: &str) -> Program {
        self.serve_with(&["serve"], token).await
    }

    pub async fn serve_with(&self, arguments: &[&str], token: &str) -> Program {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = self.command(arguments).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let client = Client::new(format!("http://127.0.0.1:{}", self.port), token.to_owned());
        let mut program = Program { client, child };
        let web = http();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = web.get(format!("{}/readyz", program.client.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return program;
            }
            let ended = program.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "not ready, {ended:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The standard error of all its servers.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }

    pub fn location(&self) -> Location {
        self.database.location(&self.data_dir())
    }

    /// The first column of the first row, read from its database.
    pub async fn one(&self, sql: &str) -> String {
        support::one(&self.location(), sql).await
    }

    /// Ends the leases of killed servers at once. On SQLite, the next start ends them.
    pub async fn leases_run_out(&self) {
        if let Location::Postgres(url) = self.location() {
            let others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            // PostgreSQL continues a dead client's statement until its connection is closed.
            support::one(
                &self.location(),
                &format!("SELECT count(pg_terminate_backend(pid, 10000))::text FROM {others}"),
            )
            .await;
            let db = sea_orm::Database::connect(url).await.unwrap();
            db.execute_unprepared("UPDATE job SET lease_until = 1 WHERE lease_until > 0").await.unwrap();
            db.close().await.unwrap();
        }
    }

    /// Everything that is stored, without the log.
    pub async fn stored(&self) -> Vec<(String, Vec<u8>)> {
        support::stored(&self.database, &self.data_dir()).await
    }

    pub async fn assert_intact(&self) {
        support::assert_intact(&self.location()).await;
    }
}

/// Writes a key file that only its owner can read.
pub fn write_key(file: &Path, content: impl AsRef<[u8]>) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A running server. Dropping it kills it.
pub struct Program {
    pub client: Client,
    child: Child,
}

impl Program {
    /// Kills it with SIGKILL, like a power failure.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, which stops it gracefully.
    pub fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {within:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port outside the range for outgoing connections, so that it stays free between two starts.
fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// How often a test kills its server, and random numbers that can be repeated by their seed.
pub fn rounds(test: &str) -> (u32, fastrand::Rng) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let rounds = number("TEST_KILL_ROUNDS").map_or(20, |rounds| u32::try_from(rounds).unwrap());
    let seed = number("TEST_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: TEST_KILL_ROUNDS={rounds} TEST_KILL_SEED={seed}");
    (rounds, fastrand::Rng::with_seed(seed))
}
