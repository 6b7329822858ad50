//! Retention, backup, restore and the doctor.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Looks again and again until the work is done. The first look begins with the work. Returns how many there were.
pub async fn again_while(work: impl Future<Output = ()>, look: impl AsyncFn()) -> u32 {
    let is_done = AtomicBool::new(false);
    let work = async {
        work.await;
        is_done.store(true, Ordering::Relaxed);
    };
    let looking = async {
        let mut looks = 0;
        while !is_done.load(Ordering::Relaxed) {
            look().await;
            looks += 1;
        }
        looks
    };
    tokio::join!(looking, work).0
}
