//! Results that several subscribers need at the same time, or shortly after each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use uuid::Uuid;

use super::cursor::Cursor;
use super::results::ExecutionResult;
use crate::graphql::budget::Budget;
use crate::graphql::documents::QueryKey;

/// How many bytes of results are kept, about.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The largest result that is kept, in bytes.
const MAX_RESULT_BYTES: usize = 256 * 1024;
/// How many bytes a result takes besides its text, about.
const OVERHEAD: usize = 512;
/// How long a result is kept. It may show more than the event, such as the users of today.
const KEEP: Duration = Duration::from_secs(2);

/// What a result is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResultKey {
    pub query: QueryKey,
    /// Where to resume after the event. A part of the result.
    pub cursor: Cursor,
    /// The instance that a snapshot shows; `None` for a change, which its number identifies.
    pub snapshot_of: Option<Uuid>,
}

type Computing = BoxFuture<'static, Option<ExecutionResult>>;

#[derive(Default)]
pub struct SharedResults(Mutex<Results>);

#[derive(Default)]
struct Results {
    by_key: HashMap<ResultKey, Kept>,
    /// The oldest first. Those that were replaced are still there.
    order: VecDeque<(Instant, ResultKey)>,
    bytes: usize,
}

struct Kept {
    since: Instant,
    bytes: usize,
    result: Progress,
}

enum Progress {
    /// Ends when nobody waits for it any more.
    Computing {
        computing: WeakShared<Computing>,
        /// False while it waits for its place.
        started: Arc<AtomicBool>,
        payer: Budget,
    },
    Done(ExecutionResult),
}

enum Found {
    Computing(Instant, Shared<Computing>),
    Done(ExecutionResult),
}

impl SharedResults {
    /// The result for a key, computed only once. It is computed in a task of its own, so that it does
    /// not depend on the subscriber that asked first, and is given up when nobody waits for it any more. While it waits
    /// for a place within the budget of the first subscriber, those of other budgets do not share it.
    pub async fn get_or_compute<F>(
        &self,
        key: ResultKey,
        budget: &Budget,
        compute: impl FnOnce() -> F,
    ) -> Option<ExecutionResult>
    where
        F: Future<Output = Option<ExecutionResult>> + Send + 'static,
    {
        let (since, computing) = {
            let mut results = self.0.lock();
            match results.find(&key, budget) {
                Some(Found::Done(result)) => return Some(result),
                Some(Found::Computing(since, computing)) => (since, computing),
                None => {
                    let started = Arc::new(AtomicBool::new(false));
                    let work = work(budget.clone(), started.clone(), compute());
                    let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
                    let computing = async move { task.await.ok().flatten() }.boxed().shared();
                    (results.insert(key, budget, started, &computing), computing)
                }
            }
        };
        let result = computing.await;
        self.0.lock().finish(&key, since, result.as_ref());
        result
    }
}

async fn work<F: Future>(budget: Budget, started: Arc<AtomicBool>, compute: F) -> F::Output {
    let _place = budget.event().await;
    started.store(true, Ordering::Relaxed);
    compute.await
}

impl Results {
    fn find(&self, key: &ResultKey, budget: &Budget) -> Option<Found> {
        let kept = self.by_key.get(key)?;
        match &kept.result {
            Progress::Computing { computing, started, payer } => {
                let shared = started.load(Ordering::Relaxed) || payer.is(budget);
                let computing = computing.upgrade().filter(|_| shared)?;
                Some(Found::Computing(kept.since, computing))
            }
            Progress::Done(result) => (kept.since.elapsed() < KEEP).then(|| Found::Done(result.clone())),
        }
    }

    fn insert(
        &mut self,
        key: ResultKey,
        budget: &Budget,
        started: Arc<AtomicBool>,
        computing: &Shared<Computing>,
    ) -> Instant {
        let since = Instant::now();
        // Nobody has polled it yet, so that it has not ended.
        let Some(computing) = computing.downgrade() else { return since };
        while self.bytes > MAX_BYTES || self.order.front().is_some_and(|(since, _)| since.elapsed() >= KEEP) {
            let Some((since, oldest)) = self.order.pop_front() else { break };
            self.remove(&oldest, since);
        }
        self.order.push_back((since, key));
        self.bytes += OVERHEAD;
        let result = Progress::Computing { computing, started, payer: budget.clone() };
        let kept = Kept { since, bytes: OVERHEAD, result };
        if let Some(replaced) = self.by_key.insert(key, kept) {
            self.bytes -= replaced.bytes;
        }
        since
    }

    /// The first of those who wait for a result stores it. A large one is shared by those who wait now, but not kept
    /// for later.
    fn finish(&mut self, key: &ResultKey, since: Instant, result: Option<&ExecutionResult>) {
        let Some(kept) = self.by_key.get_mut(key).filter(|kept| kept.since == since) else { return };
        match (result, &kept.result) {
            (Some(result), Progress::Computing { .. }) if result.json.len() <= MAX_RESULT_BYTES => {
                kept.bytes += result.json.len();
                self.bytes += result.json.len();
                kept.result = Progress::Done(result.clone());
            }
            (_, Progress::Computing { .. }) => self.remove(key, since),
            (_, Progress::Done(_)) => {}
        }
    }

    fn remove(&mut self, key: &ResultKey, since: Instant) {
        if self.by_key.get(key).is_some_and(|kept| kept.since == since)
            && let Some(removed) = self.by_key.remove(key)
        {
            self.bytes -= removed.bytes;
        }
    }
}
