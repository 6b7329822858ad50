//! The events that a process has in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many consecutive numbers belong together. They are forgotten together.
pub const BLOCK: i64 = 64;

/// An event of the log.
pub struct Entry<T> {
    /// No event has a number between this one and the entry's own.
    after: i64,
    pub seq: i64,
    /// `None` if the event cannot be read.
    pub event: Option<Arc<T>>,
}

impl<T> Entry<T> {
    pub fn new(after: i64, seq: i64, event: Option<Arc<T>>) -> Self {
        Self { after, seq, event }
    }
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { after: self.after, seq: self.seq, event: self.event.clone() }
    }
}

/// Keeps the events that were used last.
pub struct Cache<T> {
    blocks: BTreeMap<i64, Block<T>>,
    bytes: usize,
    max_bytes: usize,
    uses: u64,
}

struct Block<T> {
    /// In the order of their numbers.
    entries: Vec<Entry<T>>,
    bytes: usize,
    /// When it was used last, as a number of `uses`.
    used: u64,
}

impl<T> Cache<T> {
    pub fn new(max_bytes: usize) -> Self {
        Self { blocks: BTreeMap::new(), bytes: 0, max_bytes, uses: 0 }
    }

    pub fn clear(&mut self) {
        self.blocks.clear();
        self.bytes = 0;
    }

    /// Up to `limit` events that follow `seq`; none if the next one is not known.
    pub fn after(&mut self, seq: i64, limit: usize) -> Vec<Entry<T>> {
        self.uses += 1;
        let (mut found, mut through) = (Vec::new(), seq);
        for block in self.blocks.range_mut(seq.div_euclid(BLOCK)..).map(|(_, block)| block) {
            let known = block.entries.partition_point(|entry| entry.seq <= through);
            for entry in &block.entries[known..] {
                if entry.after > through || found.len() == limit {
                    return found;
                }
                through = entry.seq;
                found.push(entry.clone());
            }
            block.used = self.uses;
        }
        found
    }

    /// Keeps an event that takes about so many bytes.
    pub fn insert(&mut self, entry: Entry<T>, bytes: usize) {
        self.uses += 1;
        let block = self.blocks.entry((entry.seq - 1).div_euclid(BLOCK)).or_insert_with(|| Block {
            entries: Vec::new(),
            bytes: 0,
            used: 0,
        });
        block.used = self.uses;
        match block.entries.binary_search_by_key(&entry.seq, |entry| entry.seq) {
            Ok(known) => {
                let known = &mut block.entries[known];
                known.after = known.after.min(entry.after);
            }
            Err(place) => {
                block.entries.insert(place, entry);
                block.bytes += bytes;
                self.bytes += bytes;
            }
        }
        while self.bytes > self.max_bytes && self.blocks.len() > 1 {
            self.forget_one();
        }
    }

    fn forget_one(&mut self) {
        let oldest = self.blocks.iter().min_by_key(|(_, block)| block.used).map(|(number, _)| *number);
        if let Some(block) = oldest.and_then(|number| self.blocks.remove(&number)) {
            self.bytes -= block.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(cache: &mut Cache<i64>, after: i64) -> Vec<i64> {
        cache.after(after, 10).iter().map(|entry| entry.seq).collect()
    }

    fn insert(cache: &mut Cache<i64>, after: i64, seq: i64) {
        cache.insert(Entry::new(after, seq, Some(Arc::new(seq))), 1);
    }

    #[test]
    fn an_unused_number_is_no_gap_and_an_unknown_one_is() {
        let mut cache = Cache::new(1000);
        insert(&mut cache, 62, 63);
        insert(&mut cache, 63, 66);
        insert(&mut cache, 70, 71);
        assert_eq!(numbers(&mut cache, 62), [63, 66], "64 and 65 belong to no event");
        assert_eq!(numbers(&mut cache, 64), [66]);
        assert!(numbers(&mut cache, 61).is_empty(), "62 may be an event");
        assert!(numbers(&mut cache, 66).is_empty());
        insert(&mut cache, 66, 71);
        assert_eq!(numbers(&mut cache, 66), [71]);
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let mut cache = Cache::new(2);
        insert(&mut cache, 0, 1);
        insert(&mut cache, 99, 100);
        assert_eq!(numbers(&mut cache, 0), [1]);
        insert(&mut cache, 199, 200);
        assert_eq!(numbers(&mut cache, 0), [1]);
        assert!(numbers(&mut cache, 99).is_empty());
        assert_eq!(cache.bytes, 2);
    }

    proptest! {
        /// The log has an event for each number of `log`. Reads of it arrive in any order.
        #[test]
        fn it_leaves_no_event_out(
            log in prop::collection::btree_set(1i64..300, 1..100),
            reads in prop::collection::vec((0i64..300, 1usize..80), 0..20),
            seq in 0i64..300,
            max_bytes in 1usize..200,
        ) {
            let mut cache = Cache::new(max_bytes);
            for (from, limit) in reads {
                let mut after = from;
                for next in log.range(from + 1..).take(limit) {
                    insert(&mut cache, after, *next);
                    after = *next;
                }
            }
            let found = numbers(&mut cache, seq);
            let expected: Vec<i64> = log.range(seq + 1..).take(found.len()).copied().collect();
            prop_assert_eq!(found, expected);
        }
    }
}
