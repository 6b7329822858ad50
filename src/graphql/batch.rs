//! Relations of the rows of one list, each fetched in one statement for all of them.
//!
//! The rows of a list share a [`Batch`]. The first row that is asked for a relation
//! fetches it for the whole list; the other rows wait for that and take their part. Unlike
//! a data loader, a batch waits on no timer and is never split. Unlike looking ahead in the
//! selection, it needs no handling of aliases, arguments and fragments, because it works where
//! the field is resolved. A single row is a list of one.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::api::Api;
use super::error::ApiError;

/// What rows relate to. Its value holds the arguments of the field: equal relations are
/// fetched once.
pub trait Relation<Source = Api>: PartialEq + Send + Sync + 'static {
    type Key: Eq + Hash + Clone + Send + Sync + 'static;
    type Value: Clone + Send + Sync + 'static;

    /// The values of several keys. A key without a value is left out.
    fn fetch(
        &self,
        source: &Source,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Value>, ApiError>> + Send;
}

/// The keys of the rows of one list, and the relations that were fetched for them.
pub struct Batch<K> {
    keys: Vec<K>,
    /// Each is a [`Fetched`] of its own type.
    relations: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

struct Fetched<R, K, V> {
    relation: R,
    values: OnceCell<HashMap<K, V>>,
}

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Batch<K> {
    /// Keys may repeat.
    pub fn new(keys: impl IntoIterator<Item = K>) -> Self {
        Self { keys: keys.into_iter().collect(), relations: Mutex::default() }
    }

    /// The value that a relation has for `key`.
    pub async fn load<S, R>(&self, source: &S, relation: R, key: &K) -> Result<Option<R::Value>, ApiError>
    where
        S: Sync,
        R: Relation<S, Key = K>,
    {
        let fetched = self.entry::<R, R::Value>(relation);
        let fetch = || async {
            let mut seen = HashSet::new();
            let keys: Vec<K> = self.keys.iter().filter(|key| seen.insert(*key)).cloned().collect();
            fetched.relation.fetch(source, &keys).await
        };
        Ok(fetched.values.get_or_try_init(fetch).await?.get(key).cloned())
    }

    fn entry<R, V>(&self, relation: R) -> Arc<Fetched<R, K, V>>
    where
        R: PartialEq + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let mut relations = self.relations.lock();
        let of_relation = |entry: &&Arc<dyn Any + Send + Sync>| {
            entry.downcast_ref::<Fetched<R, K, V>>().is_some_and(|fetched| fetched.relation == relation)
        };
        let known = relations.iter().find(of_relation).cloned();
        if let Some(Ok(entry)) = known.map(Arc::downcast) {
            return entry;
        }
        let entry = Arc::new(Fetched { relation, values: OnceCell::new() });
        relations.push(entry.clone());
        entry
    }
}

/// Makes rows that were fetched for several parents the rows of one list, so that their
/// own relations are fetched once for all of them.
#[expect(clippy::implicit_hasher, reason = "every caller has the standard one")]
pub fn regroup<K: Eq + Hash, M, T, R: From<Vec<T>>>(
    groups: HashMap<K, Vec<M>>,
    list: impl FnOnce(Vec<M>) -> Vec<T>,
) -> HashMap<K, R> {
    let mut sizes = Vec::with_capacity(groups.len());
    let mut all = Vec::new();
    for (key, models) in groups {
        sizes.push((key, models.len()));
        all.extend(models);
    }
    let mut rows = list(all).into_iter();
    sizes.into_iter().map(|(key, size)| (key, rows.by_ref().take(size).collect::<Vec<_>>().into())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[derive(PartialEq)]
    struct Power(u32);

    impl Relation<AtomicUsize> for Power {
        type Key = i32;
        type Value = i32;

        async fn fetch(&self, fetches: &AtomicUsize, keys: &[i32]) -> Result<HashMap<i32, i32>, ApiError> {
            fetches.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(keys.iter().map(|key| (*key, key.pow(self.0))).collect())
        }
    }

    #[tokio::test]
    async fn a_relation_is_fetched_once_for_all_and_once_for_each_of_its_arguments() {
        let (batch, fetches) = (Batch::new([1, 2, 3, 2]), AtomicUsize::new(0));
        let squares = join_all([1, 2, 3].map(async |key| batch.load(&fetches, Power(2), &key).await.unwrap())).await;
        assert_eq!(squares, [Some(1), Some(4), Some(9)]);
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert_eq!(batch.load(&fetches, Power(3), &2).await.unwrap(), Some(8));
        assert_eq!(batch.load(&fetches, Power(2), &4).await.unwrap(), None);
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }
}
