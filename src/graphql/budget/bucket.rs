//! How much may be used in a time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Fills up evenly, to what may be used in a time.
pub(super) struct Bucket {
    size: f64,
    /// How much comes back in a second.
    rate: f64,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// A full one; `None` if there is no limit.
    pub(super) fn of(amount: u32, time: Duration, now: Instant) -> Option<Self> {
        let size = f64::from(amount);
        (amount > 0).then(|| Self { size, rate: size / time.as_secs_f64(), level: Mutex::new((size, now)) })
    }

    /// Takes an amount, or says after how long there will be enough. More than the whole is there when it is full.
    pub(super) fn take(&self, amount: f64, now: Instant) -> Result<(), Duration> {
        let mut level = self.level.lock();
        self.fill(&mut level, now);
        let missing = amount.min(self.size) - level.0;
        if missing > 0.0 {
            return Err(self.time_for(missing));
        }
        level.0 -= amount;
        Ok(())
    }

    /// Takes an amount even if there is not enough.
    pub(super) fn owe(&self, amount: f64, now: Instant) {
        let mut level = self.level.lock();
        self.fill(&mut level, now);
        level.0 -= amount;
    }

    /// Gives back an amount that was not used.
    pub(super) fn give_back(&self, amount: f64, now: Instant) {
        let mut level = self.level.lock();
        level.0 += amount;
        self.fill(&mut level, now);
    }

    /// After how long nothing is owed any more; `None`: nothing is.
    pub(super) fn debt(&self, now: Instant) -> Option<Duration> {
        let mut level = self.level.lock();
        self.fill(&mut level, now);
        (level.0 < 0.0).then(|| self.time_for(-level.0))
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        let mut level = self.level.lock();
        self.fill(&mut level, now);
        level.0 >= self.size
    }

    fn fill(&self, (level, at): &mut (f64, Instant), now: Instant) {
        *level = (*level + (now - *at).as_secs_f64() * self.rate).min(self.size);
        *at = now;
    }

    fn time_for(&self, amount: f64) -> Duration {
        Duration::from_secs_f64(amount / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back_evenly() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let bucket = Bucket::of(600, Duration::from_mins(1), now).unwrap();
        assert!(bucket.take(500.0, now).is_ok() && !bucket.is_full(now));
        assert_eq!(bucket.take(300.0, now), Err(Duration::from_secs(20)));
        assert!(bucket.take(300.0, after(19)).is_err());
        assert!(bucket.take(300.0, after(21)).is_ok());
        assert!(bucket.is_full(after(120)));
        assert!(bucket.take(5_000.0, after(120)).is_ok(), "more than the whole is there when it is full");
        assert!(bucket.take(1.0, after(120)).is_err());
        assert!(Bucket::of(0, Duration::from_mins(1), now).is_none());
    }

    #[test]
    fn what_was_not_used_comes_back_at_once() {
        let now = Instant::now();
        let bucket = Bucket::of(2, Duration::from_mins(1), now).unwrap();
        assert!(bucket.take(2.0, now).is_ok() && bucket.take(1.0, now).is_err());
        bucket.give_back(1.0, now);
        assert!(bucket.take(1.0, now).is_ok() && bucket.take(1.0, now).is_err());
        bucket.give_back(5.0, now);
        assert!(bucket.take(2.0, now).is_ok() && bucket.take(1.0, now).is_err(), "no more than the whole");
    }

    #[test]
    fn what_is_owed_is_paid_back() {
        let now = Instant::now();
        let bucket = Bucket::of(60, Duration::from_mins(1), now).unwrap();
        bucket.owe(50.0, now);
        assert_eq!(bucket.debt(now), None);
        bucket.owe(40.0, now);
        assert_eq!(bucket.debt(now), Some(Duration::from_secs(30)));
        assert_eq!(bucket.debt(now + Duration::from_secs(31)), None);
    }
}
