//! What the service manager is told that started this process, such as systemd: that it answers, works, stops.
//! Without `NOTIFY_SOCKET` in the environment, nobody is told.

use sd_notify::NotifyState;
use tracing::warn;

pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(error = %error, "the service manager could not be told how the server is");
    }
}

/// Tells the service manager regularly that this process works, if it asks for that. Must be called inside the Tokio
/// runtime: if its threads are stuck, nothing is told, and the service manager restarts the process.
pub fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else { return };
    tokio::spawn(async move {
        let mut due = tokio::time::interval(limit / 2);
        loop {
            due.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    });
}
