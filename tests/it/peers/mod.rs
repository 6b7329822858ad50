//! Real servers of other makers for a test to talk to: each in a process of its own, on
//! loopback, ended when its handle is dropped. They run in the Python of `tests/run`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub use scim_peer::Scim;
pub use smtp_peer::{Smtp, header, recipient};

mod faults;
mod faulty;
mod mail;
mod mail_trouble;
mod scim;
mod scim_pages;
mod scim_peer;
mod smtp_peer;

/// A script of `tests/peers` that runs until this is dropped.
struct Script {
    child: Child,
    /// The line with which it said that it serves.
    first_line: String,
}

impl Script {
    fn start(name: &str, arguments: &[String]) -> Script {
        let python = std::env::var("TEST_PYTHON")
            .expect("TEST_PYTHON must name a Python with tests/peers/requirements.txt: run the tests with tests/run");
        let mut child = Command::new(python)
            .arg(format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR")))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("TEST_PYTHON runs");
        let mut first_line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first_line).unwrap();
        assert!(!first_line.is_empty(), "{name} did not start; what it says is above");
        Script { child, first_line: first_line.trim().to_owned() }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
