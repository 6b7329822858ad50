//! One statement per relation, however many rows a list has.
//!
//! The rows of a list know each other. The first row that is asked for a relation
//! fetches it for all of them, in one statement; the others wait for that and take
//! their part. Unlike a data loader it waits on no timer and splits no batch, and unlike
//! looking ahead in the selection it follows aliases, arguments and fragments by itself,
//! because it acts where the field is resolved. A row that stands alone is a list of one.

use std::any::Any;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::graphql::error::ApiError;

/// The rows of one list, by their keys, and what was fetched for them.
pub struct Siblings<K> {
    pub keys: Vec<K>,
    relations: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

type Cell<K, V> = OnceCell<Arc<HashMap<K, V>>>;

impl<K: Eq + Hash + Clone + Send + Sync + 'static> Siblings<K> {
    pub fn new(keys: impl IntoIterator<Item = K>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let keys = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        Self { keys, relations: Mutex::default() }
    }

    /// What the relation called `name` (with its arguments in the name) holds for `key`.
    /// `fetch` gets all keys, and is called once for all of them.
    pub async fn load<V, F, R>(&self, name: String, key: &K, fetch: F) -> Result<Option<V>, ApiError>
    where
        V: Clone + Send + Sync + 'static,
        F: FnOnce(Vec<K>) -> R + Send,
        R: Future<Output = Result<HashMap<K, V>, ApiError>> + Send,
    {
        let cell = {
            let mut relations = self.relations.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = relations.entry(name).or_insert_with(|| Arc::new(Cell::<K, V>::new()));
            entry.clone().downcast::<Cell<K, V>>()
        };
        // Two types under one name would be a mistake of ours; each then fetches for itself.
        let cell = cell.unwrap_or_default();
        let found = cell.get_or_try_init(|| async { fetch(self.keys.clone()).await.map(Arc::new) }).await?;
        Ok(found.get(key).cloned())
    }
}

/// Makes rows of one list of what was fetched for several parents, so that what they
/// relate to is fetched once for all of them too.
#[expect(clippy::implicit_hasher, reason = "every caller has the standard one")]
pub fn regroup<K: Eq + Hash, M, T>(
    groups: HashMap<K, Vec<M>>,
    list: impl FnOnce(Vec<M>) -> Vec<T>,
) -> HashMap<K, Vec<T>> {
    let mut sizes = Vec::with_capacity(groups.len());
    let mut all = Vec::new();
    for (key, models) in groups {
        sizes.push((key, models.len()));
        all.extend(models);
    }
    let mut rows = list(all).into_iter();
    sizes.into_iter().map(|(key, size)| (key, rows.by_ref().take(size).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_relation_is_fetched_once_for_all() {
        let siblings = Arc::new(Siblings::new([1, 2, 3, 2]));
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let loads = [1, 2, 3].map(|key| {
            let (siblings, calls) = (siblings.clone(), calls.clone());
            async move {
                siblings
                    .load("square".into(), &key, |keys: Vec<i32>| async move {
                        calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        Ok(keys.into_iter().map(|key| (key, key * key)).collect())
                    })
                    .await
                    .unwrap()
            }
        });
        assert_eq!(futures_util::future::join_all(loads).await, [Some(1), Some(4), Some(9)]);
        assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
