//! Results that several subscribers need at the same time, or shortly after each other.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use tracing::Instrument;

use super::event_query::QueryKey;

/// The most results that are kept.
const MAX_RESULTS: usize = 512;
/// The largest result that is kept, in bytes.
const MAX_RESULT_BYTES: usize = 32 * 1024;

/// A query and the number of an event.
type Key = (QueryKey, i64);
type Result = Shared<BoxFuture<'static, Option<Bytes>>>;

#[derive(Default)]
pub struct SharedResults(Mutex<Results>);

#[derive(Default)]
struct Results {
    results: HashMap<Key, Result>,
    /// The oldest first.
    order: VecDeque<Key>,
}

impl SharedResults {
    /// The result for a key, computed only once. It is computed in a task of its own, so that it does
    /// not depend on the subscriber that asked first.
    pub async fn get_or_compute<F>(&self, key: Key, compute: impl FnOnce() -> F) -> Option<Bytes>
    where
        F: Future<Output = Option<Bytes>> + Send + 'static,
    {
        let result = self.0.lock().get_or_insert_with(key, || {
            let task = tokio::spawn(compute().in_current_span());
            async move { task.await.ok().flatten() }.boxed().shared()
        });
        let json = result.await;
        // A large result is shared by those who wait now, but not kept for later.
        if json.as_ref().is_none_or(|json| json.len() > MAX_RESULT_BYTES) {
            self.0.lock().results.remove(&key);
        }
        json
    }
}

impl Results {
    fn get_or_insert_with(&mut self, key: Key, new: impl FnOnce() -> Result) -> Result {
        if let Some(result) = self.results.get(&key) {
            return result.clone();
        }
        if self.order.len() >= MAX_RESULTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
        let result = new();
        self.order.push_back(key);
        self.results.insert(key, result.clone());
        result
    }
}
