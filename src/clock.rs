//! The time, as a parameter: tests turn it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Tells the time in milliseconds since 1970 (UTC). Durations inside one process are
/// measured by tokio's monotonic clock instead, which no change of the wall clock moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands still at the value until somebody moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn now(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Clock::System => Utc::now().timestamp_millis(),
            Clock::Manual(at) => at.load(Ordering::Relaxed),
        }
    }
}

/// A stored time as the API gives it. Times that no calendar holds become its beginning.
pub fn date_time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
