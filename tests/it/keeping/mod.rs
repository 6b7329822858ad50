//! What is kept, copied, put back and looked after.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::DEADLINE;

mod backup;
mod doctor;
mod postgres;
mod restore;
mod retention;

/// A mail server where nobody listens: mails wait.
const NOBODY: &str = "smtp://127.0.0.1:9";

/// Waits until it is so.
async fn eventually<F: Future<Output = bool>>(so: impl Fn() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !so().await {
        assert!(Instant::now() < deadline, "waited too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
