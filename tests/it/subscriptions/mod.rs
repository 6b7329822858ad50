//! Subscriptions: what subscribers receive, live and after a reconnection.

mod crowd;
mod progress;
mod resume;
pub mod states;
