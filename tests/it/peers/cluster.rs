//! A PostgreSQL cluster for a single test, which can break it.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::DEADLINE;

/// The role and the database of the program. The role is not a superuser.
const NAME: &str = "muster";

/// How a cluster is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An orderly stop: connections are closed, and everything is written to disk.
    Fast,
    /// A crash: the next start recovers from the write-ahead log.
    Immediate,
    /// SIGKILL of the postmaster only. Its children notice and exit.
    Kill,
}

/// A PostgreSQL server with its data in a temporary folder and `fsync` on. When dropped, it is
/// stopped and its data is removed.
pub struct Cluster {
    pub port: u16,
    dir: TempDir,
    /// The folder of the data; by default inside of `dir`.
    data: PathBuf,
    /// Options of the server, each as `name=value`.
    options: Vec<String>,
    server: Option<Child>,
}

impl Cluster {
    /// Creates and starts a cluster.
    pub async fn start() -> Cluster {
        Self::with(&[], None).await
    }

    /// The same with server options (`max_connections=20`) and the data in a given folder, perhaps on another file system.
    pub async fn with(options: &[&str], data: Option<&Path>) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let data = data.map_or_else(|| dir.path().join("data"), |place| place.join("data"));
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
        give_to_postgres(&data);
        let mut initdb = as_postgres("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "-D"]);
        let made = initdb.arg(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut cluster = Cluster { port: spare_port(), dir, data, options, server: None };
        cluster.bring_up().await;
        cluster.execute(&format!("CREATE ROLE {NAME} LOGIN")).await;
        cluster.execute(&format!("CREATE DATABASE {NAME} OWNER {NAME}")).await;
        cluster
    }

    /// The value for `MUSTER_DATABASE_URL`.
    pub fn url(&self) -> String {
        Self::url_at(self.port)
    }

    /// The same behind a proxy.
    pub fn url_at(port: u16) -> String {
        format!("postgres://{NAME}@127.0.0.1:{port}/{NAME}")
    }

    /// Starts the server and waits until it answers.
    pub async fn bring_up(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if !self.runs() {
                self.launch();
            }
            if self.answers().await {
                return;
            }
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = as_postgres("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories="]);
        for option in &self.options {
            command.args(["-c", option]);
        }
        self.server = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// True if the postmaster is running. After it was killed, it cannot be started again until
    /// its last child has exited.
    fn runs(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.try_wait().unwrap().is_none())
    }

    /// Stops the server and waits until it has exited.
    pub async fn take_down(&mut self, how: Stop) {
        let Some(mut server) = self.server.take() else { return };
        let signal = match how {
            Stop::Fast => "-INT",
            Stop::Immediate => "-QUIT",
            Stop::Kill => "-KILL",
        };
        kill(signal, server.id());
        let deadline = Instant::now() + DEADLINE;
        while server.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "PostgreSQL does not stop: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the server, waits, and starts it again.
    pub async fn restart(&mut self, how: Stop, down: Duration) {
        self.take_down(how).await;
        tokio::time::sleep(down).await;
        self.bring_up().await;
    }

    /// Kills one backend of the program, so that PostgreSQL closes all connections and recovers. False if there was none.
    pub async fn kill_backend(&mut self) -> bool {
        let backends = self.rows(&format!("SELECT pid FROM {OTHERS} ORDER BY random() LIMIT 1")).await;
        let Some(pid) = backends.first().and_then(|row| row["pid"].as_u64()) else { return false };
        kill("-KILL", u32::try_from(pid).unwrap());
        self.bring_up().await;
        true
    }

    /// Closes every connection of the program. The server keeps running.
    pub async fn terminate_all(&self) {
        self.rows(&format!("SELECT count(pg_terminate_backend(pid)) FROM {OTHERS}")).await;
    }

    /// Makes the server read-only, as before a switchover, or writable again.
    pub async fn read_only(&self, on: bool) {
        let value = if on { "on" } else { "off" };
        self.set("default_transaction_read_only", value).await;
    }

    /// Changes a setting of the running server.
    pub async fn set(&self, name: &str, value: &str) {
        self.execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await;
        self.execute("SELECT pg_reload_conf()").await;
    }

    /// Executes a statement as a superuser, bypassing every proxy.
    pub async fn execute(&self, sql: &str) {
        let db = self.connect(NAME).await.or(self.connect("postgres").await).unwrap();
        db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        db.close().await.unwrap();
    }

    /// The rows of a query as objects. Runs as a superuser, bypassing every proxy.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let db = self.connect(NAME).await.unwrap();
        let sql = format!("SELECT row_to_json(found)::text AS found FROM ({sql}) AS found");
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, &sql)).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let found = rows.iter().map(|row| serde_json::from_str(&row.try_get_by_index::<String>(0).unwrap()).unwrap());
        let found = found.collect();
        db.close().await.unwrap();
        found
    }

    /// The single number that a query returns.
    pub async fn count(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        let value = rows[0].as_object().unwrap().values().next().and_then(Value::as_i64);
        value.unwrap_or_else(|| panic!("{sql}: {rows:?}"))
    }

    /// A connection of a superuser, bypassing every proxy. It can write even while the server is read-only.
    pub async fn connect(&self, database: &str) -> Result<DatabaseConnection, DbErr> {
        let mut options = ConnectOptions::new(format!("postgres://postgres@127.0.0.1:{}/{database}", self.port));
        options.max_connections(1).sqlx_logging(false).connect_timeout(Duration::from_secs(5));
        let db = Database::connect(options).await?;
        db.execute_unprepared("SET default_transaction_read_only = off").await?;
        Ok(db)
    }

    async fn answers(&self) -> bool {
        // A short timeout, because the server may have to be started again.
        let connected = tokio::time::timeout(Duration::from_millis(500), self.connect("postgres")).await;
        match connected {
            Ok(Ok(db)) => db.close().await.is_ok(),
            _ => false,
        }
    }

    /// The log of the server.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Keeps the server and its data when the test ends.
    pub fn keep_log(&mut self) {
        self.dir.disable_cleanup(true);
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("postgres.log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        kill("-QUIT", server.id());
        for _ in 0..500 {
            if server.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        let _ = server.wait();
    }
}

/// The backends of the program.
const OTHERS: &str = "pg_stat_activity WHERE backend_type = 'client backend' AND usename = 'muster'";

fn kill(signal: &str, pid: u32) {
    let _gone_already = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A command of PostgreSQL as a user other than root, which PostgreSQL refuses.
fn as_postgres(program: &str) -> Command {
    let program = bin().join(program);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn bin() -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.map(|entry| entry.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    versions.retain(|bin| bin.join("postgres").exists());
    versions.sort();
    // On other systems they are on the path.
    versions.pop().unwrap_or_default()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Gives a folder to the user that PostgreSQL runs as.
pub fn give_to_postgres(folder: &Path) {
    if !is_root() {
        return;
    }
    let id = |flag: &str| -> u32 {
        let told = Command::new("id").args([flag, "postgres"]).output().unwrap();
        assert!(told.status.success(), "there is no user postgres");
        String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
    };
    chown(folder, Some(id("-u")), Some(id("-g"))).unwrap();
}

/// A free port below the ephemeral range, so that it stays free while the server is down.
fn spare_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
