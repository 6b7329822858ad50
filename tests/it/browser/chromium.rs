//! Chromium in a process of its own, with a profile of its own. It ends with the test, however the test ends: by its own
//! handle, or with the group of processes that the test runner ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::{fs, thread};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{Capabilities, WebDriver};

use crate::support::DEADLINE;

const DRIVER: &str = "chromedriver";
/// A name of this machine that the browser takes for that of another one.
pub const ELSEWHERE: &str = "muster.test";
/// It asks no other host, and looks the same on every machine.
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--host-resolver-rules=MAP muster.test 127.0.0.1",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--lang=en-US",
    "--window-size=1280,900",
];

/// The driver and its browser.
pub struct Chromium {
    driver: Child,
    profile: TempDir,
}

impl Chromium {
    pub async fn start() -> (Self, WebDriver) {
        let profile = TempDir::new().unwrap();
        let mut command = Command::new(DRIVER);
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver =
            command.spawn().unwrap_or_else(|error| panic!("{DRIVER}: {error}; run the tests with tests/run"));
        let output = BufReader::new(driver.stdout.take().unwrap());
        let this = Self { driver, profile };
        let (sender, receiver) = mpsc::channel();
        // It reads until the end, because a full pipe would stop the driver.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let port = loop {
            let line = receiver.recv_timeout(DEADLINE).expect("the driver says its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse::<u16>().unwrap();
            }
        };
        let arguments: Vec<_> =
            ARGUMENTS.iter().map(|argument| (*argument).to_owned()).chain([this.folder()]).collect();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities: Capabilities = serde_json::from_value(capabilities).unwrap();
        let session = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await;
        (this, session.unwrap_or_else(|error| panic!("Chromium does not start: {error}")))
    }

    fn folder(&self) -> String {
        format!("--user-data-dir={}", self.profile.path().display())
    }

    /// The processes that have the profile.
    fn processes(&self) -> Vec<Pid> {
        let folder = self.folder();
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let own = all.filter(|pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|argument| argument == folder.as_bytes())
        });
        own.filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        for process in self.processes() {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// The result of a script, which is a function's body.
pub async fn run(session: &WebDriver, script: &str, arguments: Vec<Value>) -> Value {
    let result = session.execute(script, arguments).await;
    result.unwrap_or_else(|error| panic!("{error}: {script}")).json().clone()
}
