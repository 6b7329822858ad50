//! A value that many ask for at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::Result;

/// Reads a value for all who wait for it. Nobody gets a value whose reading had begun before they asked.
pub struct Latest<T> {
    begun: AtomicU64,
    /// The number of the last reading, and what it found.
    last: Mutex<(u64, T)>,
}

impl<T: Copy + Default> Default for Latest<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), last: Mutex::new((0, T::default())) }
    }
}

impl<T: Copy> Latest<T> {
    pub async fn get(&self, read: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let asked = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.0 <= asked {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *last = (number, read().await?);
        }
        Ok(last.1)
    }
}
