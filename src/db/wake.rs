//! Wake-ups: commits announce topics, and the listeners of a topic read its tables again.

use std::sync::atomic::{AtomicU16, Ordering};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// What a transaction can announce when it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Events,
    SyncJobs,
    PurgeJobs,
    MailJobs,
    RecoveryJobs,
    PeopleJobs,
    TallyJobs,
    FindingJobs,
    WebhookJobs,
}

const TOPICS: usize = 9;
// The topics of a commit are a number, in which each has a bit. A process of an earlier version, which reads a byte, is
// woken for all topics by a number that does not fit.
const _: () = assert!(TOPICS <= u16::BITS as usize);

/// The listeners of this process, and the topics that are still to be sent to the other replicas.
pub(super) struct Wake {
    /// Identifies this process in its own messages.
    own: String,
    listeners: [watch::Sender<u64>; TOPICS],
    outgoing: AtomicU16,
    send: Notify,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            own: Uuid::now_v7().simple().to_string(),
            listeners: std::array::from_fn(|_| watch::Sender::new(0)),
            outgoing: AtomicU16::new(0),
            send: Notify::new(),
        }
    }
}

impl Wake {
    pub fn listen(&self, topic: Topic) -> watch::Receiver<u64> {
        self.listeners[topic as usize].subscribe()
    }

    /// The message that wakes the listeners of other replicas.
    pub fn message(&self, topics: u16) -> String {
        format!("{} {topics}", self.own)
    }

    /// Wakes the listeners of this process, if the message is another's.
    pub fn receive(&self, message: &str) {
        if let Some((sender, topics)) = message.split_once(' ')
            && sender != self.own
        {
            self.wake_local(topics.parse().unwrap_or(u16::MAX));
        }
    }

    /// Wakes the listeners of all replicas. `topics` has one bit per topic.
    pub fn announce(&self, topics: u16) {
        if topics != 0 {
            self.wake_local(topics);
            self.outgoing.fetch_or(topics, Ordering::Relaxed);
            self.send.notify_one();
        }
    }

    /// Wakes the listeners of this process.
    pub fn wake_local(&self, topics: u16) {
        for (bit, listeners) in self.listeners.iter().enumerate() {
            if topics & (1 << bit) != 0 {
                listeners.send_modify(|count| *count += 1);
            }
        }
    }

    /// Waits until there are topics for the other replicas.
    pub async fn outgoing(&self) -> u16 {
        loop {
            self.send.notified().await;
            let topics = self.outgoing.swap(0, Ordering::Relaxed);
            if topics != 0 {
                return topics;
            }
        }
    }
}
