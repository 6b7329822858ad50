//! The current time as a parameter, so that tests can control it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio::time::Instant;
use uuid::{Builder, Uuid};

/// A day, in milliseconds.
pub const DAY_MS: i64 = 24 * 3_600_000;

/// The day of a time (Unix milliseconds), numbered from 1970-01-01 (UTC).
pub fn day_of(ms: i64) -> i32 {
    i32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// A day as a date.
pub fn date_of(day: i32) -> NaiveDate {
    let from = NaiveDate::default();
    let days = Days::new(day.unsigned_abs().into());
    let date = if day < 0 { from.checked_sub_days(days) } else { from.checked_add_days(days) };
    date.unwrap_or(NaiveDate::MAX)
}

/// The number of a date.
pub fn day_of_date(date: NaiveDate) -> i32 {
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

/// A source of the current time in milliseconds since 1970 (UTC). Durations within a process are
/// measured with tokio's monotonic clock instead, which ignores changes of the wall clock.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// The database's clock, read every 10 s and advanced monotonically in between.
    Database(Arc<SyncedClock>),
    /// A fixed time, until a test changes it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn now(&self) -> i64 {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Clock::System => Utc::now().timestamp_millis(),
            Clock::Database(clock) => clock.now(),
            Clock::Manual(at) => at.load(Ordering::Relaxed),
        }
    }
}

/// A clock that is set from outside and advances monotonically in between.
#[derive(Debug)]
pub struct SyncedClock {
    base: Instant,
    /// The time at `base`, according to the last reading.
    origin: AtomicI64,
}

impl SyncedClock {
    pub fn new(now: i64) -> Self {
        Self { base: Instant::now(), origin: AtomicI64::new(now) }
    }

    /// Sets the clock. Returns by how many milliseconds it moved.
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

/// The clock for measuring ages. It does not follow a wall clock that jumps ahead, so that data is
/// not removed too early. It does follow a wall clock that is set back.
#[derive(Clone, Debug)]
pub struct SteadyClock {
    clock: Clock,
    since: Instant,
    origin: i64,
}

impl SteadyClock {
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

/// A version 7 UUID of this time. These ids sort by time. With only zeros in `rest` it is the
/// smallest id of its millisecond.
pub fn id_at(ms: i64, rest: &[u8; 10]) -> Uuid {
    Builder::from_unix_timestamp_millis(u64::try_from(ms).unwrap_or(0), rest).into_uuid()
}

/// Converts a stored time for the API. A time outside the calendar becomes 1970.
pub fn date_time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_ignores_jumps_ahead_and_follows_jumps_back() {
        const MONTH: i64 = 30 * 24 * 3_600_000;
        let synced = Arc::new(SyncedClock::new(MONTH));
        let steady = SteadyClock::new(Clock::Database(synced.clone()));
        synced.set(2 * MONTH);
        assert!(steady.now() < MONTH + 60_000);
        synced.set(MONTH / 2);
        assert!(steady.now() < MONTH / 2 + 60_000);
        let manual = Arc::new(AtomicI64::new(1));
        let steady = SteadyClock::new(Clock::Manual(manual.clone()));
        manual.store(MONTH, Ordering::Relaxed);
        assert_eq!(steady.now(), MONTH);
    }

    #[test]
    fn days_are_counted_from_1970_in_utc() {
        for (ms, day, date) in [
            (0, 0, "1970-01-01"),
            (DAY_MS - 1, 0, "1970-01-01"),
            (DAY_MS, 1, "1970-01-02"),
            (-1, -1, "1969-12-31"),
            (1_798_761_600_000, 20_819, "2027-01-01"),
        ] {
            assert_eq!((day_of(ms), date_of(day).to_string()), (day, date.to_owned()), "{ms}");
            assert_eq!(day_of_date(date_of(day)), day);
        }
    }
}
