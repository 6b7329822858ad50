//! Who catches up now.
//!
//! A subscriber that is behind takes a turn for each batch. The turns are given in the order in which they were asked
//! for. A batch is written while its turn lasts, so that queries of others wait for a few batches at most, however many
//! subscribers catch up. A turn ends in time even if its subscriber does not notice that it has begun, as when
//! its client reads nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How many turns there are at once.
const AT_ONCE: usize = 4;
/// How long a turn lasts at most.
const LONGEST: Duration = Duration::from_millis(50);

/// Lasts until it is dropped, or a little shorter.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "its end is what is noticed")] oneshot::Sender<()>);

#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Turns {
    /// Waits for the next turn. `None` if the server stops.
    pub async fn take(&self) -> Option<Turn> {
        let (give, given) = oneshot::channel();
        let turns = self.0.clone();
        tokio::spawn(async move {
            let Ok(_place) = turns.acquire().await else { return };
            let (end, ended) = oneshot::channel();
            if give.send(Turn(end)).is_ok() {
                let _dropped_or_too_long = timeout(LONGEST, ended).await;
            }
        });
        given.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_that_nobody_takes_or_ends_does_not_keep_others_waiting() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(turns.take().await);
        }
        let mut unnoticed = Box::pin(turns.take());
        let _asked = timeout(Duration::from_millis(1), unnoticed.as_mut()).await;
        for _ in 0..2 * AT_ONCE {
            held.push(timeout(Duration::from_secs(20), turns.take()).await.expect("in time"));
        }
        assert!(held.iter().all(Option::is_some) && unnoticed.await.is_some());
    }
}
