//! Who acts in a task, so that an entry can say it wherever it is recorded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entity::audit_entry::Action;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Actor, Entry, Subject, record};
use crate::db::Tx;

tokio::task_local! {
    static ACT: Arc<Act>;
}

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub actor: Actor,
    pub address: Option<IpAddr>,
    /// Finds what was done in the log.
    pub request_id: Option<Uuid>,
}

impl From<Actor> for Origin {
    fn from(actor: Actor) -> Self {
        Self { actor, address: None, request_id: None }
    }
}

/// Something that an actor does, and what is known of it so far.
pub struct Act {
    origin: Origin,
    /// What it is, and a sentence that says it.
    doing: Option<(Action, String)>,
    recorded: AtomicBool,
    refusal: Mutex<Option<String>>,
}

impl Act {
    pub fn new(origin: Origin, doing: Option<(Action, String)>) -> Arc<Self> {
        Arc::new(Self { origin, doing, recorded: AtomicBool::new(false), refusal: Mutex::default() })
    }

    /// Lets the entries that `work` records be of this act.
    pub async fn run<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        ACT.scope(self, work).await
    }

    /// Whether an entry was recorded.
    pub fn has_recorded(&self) -> bool {
        self.recorded.load(Ordering::Relaxed)
    }

    /// The code of the refusal that was noted.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }
}

/// Lets the entries that `work` records say who acts.
pub async fn acting<T>(origin: impl Into<Origin>, work: impl Future<Output = T>) -> T {
    Act::new(origin.into(), None).run(work).await
}

/// Lets the change that `work` records be this act, whose sentence is `detail`, of who acts in this task.
pub async fn doing<T>(action: Action, detail: &str, work: impl Future<Output = T>) -> T {
    Act::new(current(), Some((action, detail.to_owned()))).run(work).await
}

/// Records what this task does to `subject`, if somebody has asked for it, and no entry says it yet.
pub fn record_change<S: Into<Option<Subject>>>(tx: &Tx, at: i64, subject: impl FnOnce() -> S) {
    let doing = |act: &Arc<Act>| act.doing.clone().filter(|_| !act.has_recorded());
    if let Ok(Some((action, detail))) = ACT.try_with(doing) {
        record(tx, Entry::new(at, action, detail).about(subject()));
    }
}

/// Notes that what this task does is refused.
pub fn note_refusal(code: &str) {
    let _outside_of_an_act = ACT.try_with(|act| act.refusal.lock().get_or_insert_with(|| code.to_owned()).len());
}

pub(super) fn note_recorded() {
    let _outside_of_an_act = ACT.try_with(|act| act.recorded.store(true, Ordering::Relaxed));
}

/// Who acts in this task: the server, if nobody else does.
pub(super) fn current() -> Origin {
    ACT.try_with(|act| act.origin.clone()).unwrap_or_else(|_| Actor::server().into())
}
