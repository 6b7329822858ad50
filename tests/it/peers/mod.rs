//! Real third-party servers for tests. Each runs in its own process on the loopback interface, in
//! the Python or Node environment of `tests/run`, and ends when its handle is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

pub use cluster::{Cluster, Stop, give_to_postgres};
pub use identity_peer::IdentityProvider;
pub use oidc_peer::Oidc;
pub use proxy::{Lost, Mode, Proxy};
pub use scim::{server, users};
pub use scim_peer::Scim;
pub use smtp_peer::{Smtp, header, recipient};
pub use vendor_peer::Vendor;

use crate::support::DEADLINE;

mod clients;
mod cluster;
mod faults;
pub mod faulty;
mod identity_peer;
pub mod mail;
mod mail_trouble;
mod oidc_peer;
mod proxy;
mod scim;
mod scim_pages;
mod scim_peer;
mod smtp_peer;
mod vendor_peer;

/// The command that runs a script of `tests/peers`.
fn command(interpreter: &str, name: &str) -> Command {
    let program = std::env::var(interpreter).unwrap_or_else(|_| {
        panic!("{interpreter} must name what runs tests/peers/{name}: run the tests with tests/run")
    });
    let mut command = Command::new(program);
    command.arg(format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// A script of `tests/peers` that runs until this is dropped.
struct Script {
    child: Child,
    /// The line that it printed when it was ready.
    first_line: String,
}

impl Script {
    fn python(name: &str, arguments: &[String]) -> Script {
        Self::start("TEST_PYTHON", name, arguments)
    }

    fn node(name: &str, arguments: &[String]) -> Script {
        Self::start("TEST_NODE", name, arguments)
    }

    fn start(interpreter: &str, name: &str, arguments: &[String]) -> Script {
        let mut child = command(interpreter, name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{interpreter} does not run: {error}"));
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (read, line) = mpsc::channel();
        thread::spawn(move || {
            let mut first_line = String::new();
            output.read_line(&mut first_line).unwrap();
            let _ = read.send(first_line);
        });
        let first_line = line.recv_timeout(2 * DEADLINE).unwrap_or_else(|_| panic!("{name} starts for ever"));
        assert!(!first_line.is_empty(), "{name} did not start; what it says is above");
        Script { child, first_line: first_line.trim().to_owned() }
    }

    /// One of the addresses in the first line, which must be JSON.
    fn address(&self, name: &str) -> String {
        let addresses: serde_json::Value = serde_json::from_str(&self.first_line).unwrap();
        addresses[name].as_str().unwrap_or_else(|| panic!("no {name} in {addresses}")).to_owned()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
