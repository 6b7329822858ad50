//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Waits that double from `first` up to `longest`, each with a random jitter, so that many retries do not happen at
/// the same time.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
    /// The largest jitter of a wait, in either direction, as a fraction of it: from 0 to 1.
    pub jitter: f64,
}

impl Backoff {
    /// The wait after `failures` failed tries, counted from 1. `random` is from 0 to 1.
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        jittered(doubled.min(self.longest), self.jitter, random)
    }
}

/// `wait`, moved by up to `share` of itself in either direction. `random` is from 0 to 1, and 0.5 moves nothing.
pub fn jittered(wait: Duration, share: f64, random: f64) -> Duration {
    wait.mul_f64(1.0 + share * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: SECOND, longest: 10 * SECOND, jitter: 0.2 };
        let waits: Vec<_> = (1..=6).map(|failures| backoff.wait(failures, 0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.wait(u32::MAX, 0.5), 10 * SECOND);
    }

    proptest! {
        #[test]
        fn a_wait_is_moved_by_its_share_at_most(failures in 0_u32..100, jitter in 0.0..1.0, random in 0.0..1.0) {
            let backoff = Backoff { first: SECOND, longest: 900 * SECOND, jitter };
            let (exact, moved) = (backoff.wait(failures, 0.5).as_secs_f64(), backoff.wait(failures, random).as_secs_f64());
            prop_assert!((moved - exact).abs() <= exact * jitter + 1e-6, "{moved} for {exact}");
        }
    }
}
