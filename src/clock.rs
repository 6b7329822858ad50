//! The time, as a parameter: tests turn it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::{Builder, Uuid};

/// Tells the time in milliseconds since 1970 (UTC). Durations inside one process are
/// measured by tokio's monotonic clock instead, which no change of the wall clock moves.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// A time that was told by somebody else, kept since by the monotonic clock.
    Database(Arc<Kept>),
    /// Stands still at the value until somebody moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn now(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Clock::System => Utc::now().timestamp_millis(),
            Clock::Database(kept) => kept.now(),
            Clock::Manual(at) => at.load(Ordering::Relaxed),
        }
    }
}

/// A time that goes on by itself between two readings.
#[derive(Debug)]
pub struct Kept {
    base: Instant,
    /// What the time was at `base`, by the last reading.
    origin: AtomicI64,
}

impl Kept {
    pub fn new(now: i64) -> Self {
        Self { base: Instant::now(), origin: AtomicI64::new(now) }
    }

    /// Takes a new reading; answers by how many milliseconds it moved the time.
    pub fn set(&self, now: i64) -> i64 {
        let moved = now - self.now();
        self.origin.fetch_add(moved, Ordering::Relaxed);
        moved
    }

    fn now(&self) -> i64 {
        let since = i64::try_from(self.base.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.origin.load(Ordering::Relaxed).saturating_add(since)
    }
}

/// The time by which ages are measured: it goes on evenly from when it was made, so that a
/// wall clock that jumps ahead makes nothing old. A wall clock that is behind it is believed.
#[derive(Clone, Debug)]
pub struct Steady {
    clock: Clock,
    since: Instant,
    origin: i64,
}

impl Steady {
    pub fn new(clock: Clock) -> Self {
        Self { origin: clock.now(), since: Instant::now(), clock }
    }

    /// In milliseconds since 1970 (UTC).
    pub fn now(&self) -> i64 {
        let now = self.clock.now();
        match self.clock {
            Clock::Manual(_) => now,
            Clock::System | Clock::Database(_) => {
                let since = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
                now.min(self.origin.saturating_add(since))
            }
        }
    }
}

/// An id that was made at this time: ids rise with time. With nothing but zeros in its rest it is
/// the least of them.
pub fn id_at(ms: i64, rest: &[u8; 10]) -> Uuid {
    Builder::from_unix_timestamp_millis(u64::try_from(ms).unwrap_or(0), rest).into_uuid()
}

/// A stored time as the API gives it. Times that no calendar holds become its beginning.
pub fn date_time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_do_not_follow_a_clock_that_jumps_ahead_and_believe_one_that_is_set_back() {
        const MONTH: i64 = 30 * 24 * 3_600_000;
        let kept = Arc::new(Kept::new(MONTH));
        let steady = Steady::new(Clock::Database(kept.clone()));
        kept.set(2 * MONTH);
        assert!(steady.now() < MONTH + 60_000);
        kept.set(MONTH / 2);
        assert!(steady.now() < MONTH / 2 + 60_000);
        let hand = Arc::new(AtomicI64::new(1));
        let steady = Steady::new(Clock::Manual(hand.clone()));
        hand.store(MONTH, Ordering::Relaxed);
        assert_eq!(steady.now(), MONTH);
    }
}
