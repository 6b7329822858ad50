//! Who is woken by a commit.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::{Notify, watch};

/// What a committed transaction can announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Events,
    SyncJobs,
    PurgeJobs,
    MailJobs,
}

const TOPICS: usize = 4;

/// The listeners in this process, and what the other replicas are still to be told.
pub(super) struct Wake {
    listeners: [watch::Sender<u64>; TOPICS],
    outgoing: AtomicU8,
    ring: Notify,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            listeners: std::array::from_fn(|_| watch::Sender::new(0)),
            outgoing: AtomicU8::new(0),
            ring: Notify::new(),
        }
    }
}

impl Wake {
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.listeners[topic as usize].subscribe()
    }

    /// Wakes everybody, here and elsewhere; one bit per topic.
    pub fn announce(&self, topics: u8) {
        if topics != 0 {
            self.rouse(topics);
            self.outgoing.fetch_or(topics, Ordering::Relaxed);
            self.ring.notify_one();
        }
    }

    /// Wakes those in this process.
    pub fn rouse(&self, topics: u8) {
        for (bit, listeners) in self.listeners.iter().enumerate() {
            if topics & (1 << bit) != 0 {
                listeners.send_modify(|count| *count += 1);
            }
        }
    }

    /// Waits until there is something to tell the others.
    pub async fn outgoing(&self) -> u8 {
        loop {
            self.ring.notified().await;
            let topics = self.outgoing.swap(0, Ordering::Relaxed);
            if topics != 0 {
                return topics;
            }
        }
    }
}
