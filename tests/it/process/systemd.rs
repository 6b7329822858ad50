//! What the service manager is told: a real socket of its kind, as systemd makes it for a service.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::Home;
use crate::support::DEADLINE;

struct Service {
    home: Home,
    socket: UnixDatagram,
    child: Child,
}

impl Service {
    /// A server that is started as a service, with more variables in its environment.
    fn start(variables: &[(&str, &str)]) -> Service {
        let home = Home::on_sqlite();
        let path = home.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut command = home.command(&["serve"]);
        command.env("NOTIFY_SOCKET", path).envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Service { home, socket, child }
    }

    /// The lines of the next message; none if there is none within this time.
    fn told(&self, within: Duration) -> Vec<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut message = [0; 4096];
        match self.socket.recv(&mut message) {
            Ok(length) => String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned).collect(),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                Vec::new()
            }
        }
    }

    fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.told(DEADLINE).iter().any(|told| told == line) {
            assert!(Instant::now() < deadline, "{line} was not told");
        }
    }

    fn stop(&mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.wait_for("STOPPING=1");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_service_manager_is_told_that_the_server_is_ready_alive_and_stopping() {
    let limit = Duration::from_millis(800);
    let mut service = Service::start(&[("WATCHDOG_USEC", "800000")]);
    service.wait_for("READY=1");
    let health = service.home.run(&["health"]);
    assert!(health.status.success(), "it said too early that it was ready: {health:?}");
    service.wait_for("STATUS=serving");
    for _ in 0..5 {
        assert_eq!(service.told(limit), ["WATCHDOG=1"], "the watchdog would have killed it");
    }
    service.stop();
}

#[test]
fn a_service_manager_without_a_watchdog_is_told_only_what_changes() {
    let service = Service::start(&[]);
    service.wait_for("READY=1");
    service.wait_for("STATUS=serving");
    assert_eq!(service.told(Duration::from_secs(1)), Vec::<String>::new());
}

#[test]
fn a_server_that_waits_for_its_database_has_started() {
    let mut service = Service::start(&[("MUSTER_DATABASE_URL", "postgres://muster@127.0.0.1:1/muster")]);
    service.wait_for("READY=1");
    service.wait_for("STATUS=waiting for the database");
    let (alive, ready) = (service.home.run(&["health"]), service.home.run(&["health", "--ready"]));
    assert!(alive.status.success() && !ready.status.success(), "{alive:?} {ready:?}");
    service.stop();
}
