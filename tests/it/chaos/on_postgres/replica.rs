//! One replica: the program, which can be killed, frozen, stopped and restarted.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Home;
use crate::support::{DEADLINE, http};

/// A replica with its own data folder. Dropping it kills it.
pub struct Replica {
    pub home: Home,
    arguments: &'static [&'static str],
    /// Further environment variables.
    environment: Vec<(&'static str, String)>,
    child: Option<Child>,
    http: reqwest::Client,
}

impl Replica {
    /// A replica that is not started yet.
    pub fn new(home: Home, arguments: &'static [&'static str]) -> Replica {
        Self::with(home, arguments, &[])
    }

    pub fn with(home: Home, arguments: &'static [&'static str], environment: &[(&'static str, String)]) -> Replica {
        let _provider_of_cryptography = http();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        Replica { home, arguments, environment: environment.to_vec(), child: None, http }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.home.port)
    }

    /// Starts it; see [`Replica::until_ready`].
    pub fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.home.command(self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Kills it with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id();
        let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
        assert!(done.success(), "{name}");
    }

    /// Stops it with SIGTERM and waits for its end.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        let mut child = self.child.take().expect("it runs");
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert_eq!(
                    status.code(),
                    Some(0),
                    "a stop that was asked for; its log is {}",
                    self.log_file().display()
                );
                return;
            }
            if Instant::now() > deadline {
                let _ = (child.kill(), child.wait());
                panic!("it does not stop; its log is {}", self.log_file().display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it is running. A process that ends by itself is a fault.
    pub fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// The status of its response, if there is one.
    pub async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("{}{path}", self.url())).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Waits until it is ready.
    pub async fn until_ready(&mut self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.status("/readyz").await != Some(200) {
            assert!(self.lives(), "it ended by itself: {}", self.last_lines());
            assert!(Instant::now() < deadline, "not ready within {within:?}: {}", self.last_lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log_file(&self) -> PathBuf {
        self.home.dir.path().join("replica.log")
    }

    /// Its complete log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(25).collect();
        lines.into_iter().rev().fold(String::new(), |text, line| text + "\n    " + line)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}
