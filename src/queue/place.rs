//! The places (concurrency slots) of a worker: they limit how many jobs it works on at once.
//!
//! A job that only waits gives up its place meanwhile. Jobs that are expected to occupy a place for long share a few
//! places, so that they cannot take all of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::{Claim, Priority};

/// How many of a worker's places are for jobs of the last priority: this fraction (one in four), but at most this
/// number.
const PART: usize = 4;
const AT_MOST: usize = 32;

/// The places of one worker.
pub(super) struct Places {
    lanes: Vec<Lane>,
    freed: Notify,
    /// A job waited for a place when the worker last looked.
    wanted: AtomicBool,
}

/// The places for jobs of some priorities.
pub(super) struct Lane {
    pub priorities: Range<i32>,
    places: Arc<Semaphore>,
}

impl Places {
    pub fn new(count: usize) -> Arc<Self> {
        let few = (count / PART).min(AT_MOST);
        let last = Priority::Last as i32;
        let lane = |priorities, count| Lane { priorities, places: Arc::new(Semaphore::new(count)) };
        let lanes = match few {
            // Too few to be divided.
            0 => vec![lane(i32::MIN..i32::MAX, count)],
            few => vec![lane(i32::MIN..last, count - few), lane(last..i32::MAX, few)],
        };
        Arc::new(Self { lanes, freed: Notify::new(), wanted: AtomicBool::new(false) })
    }

    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// Up to `count` free places.
    pub fn take(self: &Arc<Self>, lane: &Lane, count: usize) -> Vec<Arc<Place>> {
        let take = || lane.places.clone().try_acquire_owned().ok();
        let permits = std::iter::repeat_with(take).take(count).map_while(|permit| permit);
        permits.map(|permit| Arc::new(Place { places: self.clone(), permit: Mutex::new(Some(permit)) })).collect()
    }

    /// Sets whether the worker is notified of the next free place.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    fn tell(&self) {
        if self.wanted.load(Ordering::Relaxed) {
            self.freed.notify_one();
        }
    }
}

/// One place; it is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.permit.lock().is_some()).finish()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit.get_mut().take();
        self.places.tell();
    }
}

impl Claim {
    /// Gives up the worker's place while the work only waits.
    pub fn step_aside(&self) {
        self.place.permit.lock().take();
        self.place.places.tell();
    }

    /// Waits for a place to continue. Work that is expected to occupy it for long takes one of the few.
    pub async fn step_back(&self, long: bool) {
        let lanes = &self.place.places.lanes;
        let lane = if long { lanes.last() } else { lanes.first() };
        if let Some(lane) = lane
            && let Ok(permit) = lane.places.clone().acquire_owned().await
        {
            *self.place.permit.lock() = Some(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_has_a_small_part_of_the_places_and_the_number_is_kept() {
        for (count, few) in [(1, None), (3, None), (4, Some(1)), (16, Some(4)), (128, Some(32)), (512, Some(32))] {
            let places = Places::new(count);
            let free: Vec<_> = places.lanes().map(|lane| lane.places.available_permits()).collect();
            assert_eq!((free.iter().sum::<usize>(), free.get(1).copied()), (count, few));
        }
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Places::new(2);
        let lane = &places.lanes[0];
        let taken = places.take(lane, 9);
        assert_eq!((taken.len(), places.take(lane, 9).len()), (2, 0));
        drop(taken);
        assert_eq!(places.take(lane, 1).len(), 1);
    }
}
