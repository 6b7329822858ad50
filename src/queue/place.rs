//! The places (concurrency slots) of a worker: they limit how many jobs it works on at once.
//!
//! A job that only waits gives up its place meanwhile. Where some jobs are expected to occupy a place for long, these
//! share a few places, so that they cannot take all of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entity::job::Kind;
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

impl Lane {
    /// How many of its places are free.
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Takes up to `count` free places.
    pub fn take(&self, count: usize) -> Vec<OwnedSemaphorePermit> {
        let take = || self.places.clone().try_acquire_owned().ok();
        std::iter::repeat_with(take).take(count).map_while(|permit| permit).collect()
    }
}

impl Places {
    /// The places of a worker for jobs of this kind. Only jobs of syncs have the last priority.
    pub fn new(kind: Kind, count: usize) -> Arc<Self> {
        let few = if kind == Kind::Sync { (count / PART).min(AT_MOST) } else { 0 };
        let last = Priority::Last as i32;
        let lane = |priorities, count| Lane { priorities, places: Arc::new(Semaphore::new(count)) };
        let lanes = match few {
            0 => vec![lane(i32::MIN..i32::MAX, count)],
            few => vec![lane(i32::MIN..last, count - few), lane(last..i32::MAX, few)],
        };
        Arc::new(Self { lanes, freed: Notify::new(), wanted: AtomicBool::new(false) })
    }

    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// The place of a job that was claimed. A permit that is not used for one is dropped, and nobody is told.
    pub fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Arc<Place> {
        Arc::new(Place { places: self.clone(), permit: Mutex::new(Some(permit)) })
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

/// The place of a claimed job; it is free again when this is dropped.
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
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn long_syncs_have_a_small_part_of_the_places_and_the_number_is_kept() {
        for (kind, count, few) in [
            (Kind::Sync, 1, None),
            (Kind::Sync, 3, None),
            (Kind::Sync, 4, Some(1)),
            (Kind::Sync, 16, Some(4)),
            (Kind::Sync, 128, Some(32)),
            (Kind::Sync, 512, Some(32)),
            (Kind::Mail, 4, None),
            (Kind::Recovery, 8, None),
            (Kind::Purge, 8, None),
            (Kind::Tally, 2, None),
        ] {
            let places = Places::new(kind, count);
            let free: Vec<_> = places.lanes().map(Lane::free).collect();
            assert_eq!((free.iter().sum::<usize>(), free.get(1).copied()), (count, few), "{kind:?}");
        }
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Places::new(Kind::Mail, 2);
        let lane = &places.lanes[0];
        let taken: Vec<_> = lane.take(9).into_iter().map(|permit| places.place(permit)).collect();
        assert_eq!((taken.len(), lane.free(), lane.take(9).len()), (2, 0, 0));
        drop(taken);
        assert_eq!(lane.take(9).len(), 2);
    }

    #[test]
    fn only_the_place_of_a_job_tells_that_it_is_free() {
        let places = Places::new(Kind::Sync, 4);
        places.want(true);
        drop(places.lanes[0].take(2));
        assert!(places.freed().now_or_never().is_none(), "the worker would look again and again");
        drop(places.place(places.lanes[0].take(1).remove(0)));
        assert!(places.freed().now_or_never().is_some());
    }
}
