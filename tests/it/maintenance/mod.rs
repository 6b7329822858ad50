//! Retention, backup, restore and the doctor.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::DEADLINE;

mod audit;
pub mod backup;
mod doctor;
mod doctor_door;
mod doctor_people;
mod doctor_spend;
mod doctor_webhooks;
pub mod postgres;
mod restore;
pub mod retention;
mod sealing;

/// An SMTP address where no server listens, so that mails stay queued.
pub const NOBODY: &str = "smtp://127.0.0.1:9";

/// Waits until a condition is fulfilled.
async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
