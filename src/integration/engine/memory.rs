//! How many bytes of responses are in memory at once, over all connections of a process.
//!
//! A response has a share of the budget while its body is read, and until its users are stored or dropped. The first
//! bytes of each are free, so that a small one never waits: how many of these there are is bounded by the number of
//! syncs. If the budget does not suffice, the share is given back, the request waits in line, and is sent again. So
//! nobody waits who has a share. What is requested while a page is held, such as the details of its users, is read at
//! once even if the budget is used up, and adds to it what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget, in bytes of bodies. What is parsed from a body takes several times as much.
const BUDGET: usize = 64 * 1024 * 1024;
/// The budget is given away in parts of this size, in bytes. The first one of each response is free.
const UNIT: usize = 64 * 1024;

/// The budget of a process, as one of its connections sees it.
#[derive(Clone)]
pub(super) struct Memory {
    units: Arc<Semaphore>,
    /// How many shares the connection has.
    shares: Arc<AtomicUsize>,
    /// The size of its last response: the next one is often as large.
    usual: Arc<AtomicUsize>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { units: Arc::new(Semaphore::new(BUDGET / UNIT)), shares: Arc::default(), usual: Arc::default() }
    }
}

impl Memory {
    /// The same budget for another connection.
    pub fn for_another(&self) -> Self {
        Self { units: Arc::clone(&self.units), ..Self::default() }
    }

    /// The share of a response, empty at first.
    pub fn share(&self) -> Share {
        let waits = self.shares.load(Ordering::Relaxed) == 0;
        let wanted = if waits { self.usual.load(Ordering::Relaxed) } else { 0 };
        Share { memory: self.clone(), held: None, waits, wanted }
    }

    /// The share of a response whose request must not be sent again.
    pub fn share_at_once(&self) -> Share {
        Share { memory: self.clone(), held: None, waits: false, wanted: 0 }
    }
}

/// What one response takes of the budget. Dropping it gives that back.
pub struct Share {
    memory: Memory,
    held: Option<OwnedSemaphorePermit>,
    /// It may be refused, and then waits.
    waits: bool,
    /// How many bytes it is known or expected to need.
    wanted: usize,
}

impl Share {
    /// Takes what is expected, before the request is sent. False: there is not enough.
    pub(super) fn take_expected(&mut self) -> bool {
        self.grow(self.wanted, self.wanted)
    }

    /// Takes what a body of so many bytes needs. False: there is not enough, so the response must be given up. It is
    /// sent for again when there is enough for `in_all` bytes.
    pub(super) fn grow(&mut self, bytes: usize, in_all: usize) -> bool {
        let more = units(bytes).saturating_sub(self.units_held());
        if more == 0 {
            return true;
        }
        match Arc::clone(&self.memory.units).try_acquire_many_owned(more) {
            Ok(permit) => self.add(permit),
            Err(_) if self.waits => {
                self.wanted = self.wanted.max(in_all);
                return false;
            }
            Err(_) => {}
        }
        true
    }

    /// Gives back what a body of so many bytes does not need.
    pub(super) fn fit(&mut self, bytes: usize) {
        if self.waits {
            self.memory.usual.store(bytes, Ordering::Relaxed);
        }
        let surplus = self.units_held().saturating_sub(units(bytes));
        if let Some(held) = &mut self.held {
            drop(held.split(surplus as usize));
        }
    }

    /// Gives everything back, and waits until there is what it needs.
    pub(super) async fn wait(&mut self) {
        self.release();
        let wanted = Arc::clone(&self.memory.units).acquire_many_owned(units(self.wanted)).await;
        if let Ok(permit) = wanted {
            self.add(permit);
        }
    }

    fn units_held(&self) -> u32 {
        self.held.as_ref().map_or(0, |held| u32::try_from(held.num_permits()).unwrap_or(u32::MAX))
    }

    fn add(&mut self, permit: OwnedSemaphorePermit) {
        if let Some(held) = &mut self.held {
            held.merge(permit);
        } else {
            self.memory.shares.fetch_add(1, Ordering::Relaxed);
            self.held = Some(permit);
        }
    }

    fn release(&mut self) {
        if self.held.take().is_some() {
            self.memory.shares.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

/// The units that so many bytes take. Who needs more than all takes all.
fn units(bytes: usize) -> u32 {
    let units = bytes.saturating_sub(UNIT).div_ceil(UNIT).min(BUDGET / UNIT);
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_small_response_takes_nothing_and_a_huge_one_everything() {
        for (bytes, taken) in [(0, 0), (UNIT, 0), (UNIT + 1, 1), (3 * UNIT, 2), (usize::MAX, 1_024)] {
            assert_eq!(units(bytes), taken, "{bytes}");
        }
    }

    #[test]
    fn who_finds_the_budget_used_up_holds_nothing_and_waits_in_line() {
        let memory = Memory::default();
        let [mut first, mut second, mut third] = [(); 3].map(|()| memory.for_another().share());
        assert!(first.grow(BUDGET, BUDGET) && third.grow(UNIT, UNIT));
        assert!(!second.grow(3 * UNIT, 6 * UNIT));
        assert!(second.wait().now_or_never().is_none());
        assert_eq!(second.units_held(), 0);
        first.fit(BUDGET / 2);
        assert!(second.wait().now_or_never().is_some());
        assert_eq!(second.units_held(), 5);
        assert!(second.take_expected() && second.grow(6 * UNIT, 6 * UNIT));
        drop((first, second, third));
        assert_eq!(memory.units.available_permits(), BUDGET / UNIT);
    }

    #[test]
    fn what_is_read_beside_a_page_does_not_wait() {
        let memory = Memory::default();
        let connection = memory.for_another();
        let mut page = connection.share();
        assert!(page.grow(BUDGET, BUDGET));
        let mut detail = connection.share();
        assert!(detail.grow(5 * UNIT, 5 * UNIT));
        assert!(!memory.for_another().share().grow(5 * UNIT, 5 * UNIT));
        drop(page);
        assert!(connection.share().waits);
    }

    #[test]
    fn the_next_response_is_expected_to_be_as_large() {
        let memory = Memory::default();
        let connection = memory.for_another();
        let mut page = connection.share();
        page.fit(9 * UNIT);
        drop(page);
        let mut next = connection.share();
        assert!(next.take_expected());
        assert_eq!((next.units_held(), memory.for_another().share().wanted), (8, 0));
    }
}
