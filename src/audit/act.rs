//! Who acts in a task, so that an entry can say it wherever it is recorded.

use std::net::IpAddr;
use std::sync::Arc;

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
    known: Mutex<Known>,
}

/// What became of an act so far.
#[derive(Default)]
struct Known {
    /// Whether an entry of it was committed.
    recorded: bool,
    /// The code of the first refusal.
    refusal: Option<String>,
    subject: Option<Subject>,
}

impl Act {
    pub fn new(origin: Origin, doing: Option<(Action, String)>) -> Arc<Self> {
        Arc::new(Self { origin, doing, known: Mutex::default() })
    }

    /// Lets the entries that `work` records be of this act.
    pub async fn run<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        ACT.scope(self, work).await
    }

    /// Whether an entry was committed.
    pub fn has_recorded(&self) -> bool {
        self.known.lock().recorded
    }

    /// The code of the refusal that was noted.
    pub fn refusal(&self) -> Option<String> {
        self.known.lock().refusal.clone()
    }

    /// What it is about, as far as that was noted.
    pub fn subject(&self) -> Option<Subject> {
        self.known.lock().subject.clone()
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

/// Records what this task does to `subject`, if somebody has asked for it, and no entry says it yet. `change` is a sentence
/// that says what is different afterwards, without names, addresses or secrets; it may be empty.
pub fn record_change<S: Into<Option<Subject>>>(tx: &Tx, at: i64, subject: impl FnOnce() -> S, change: &str) {
    let doing = |act: &Arc<Act>| act.doing.clone().filter(|_| !act.has_recorded() && !tx.has_entries());
    if let Ok(Some((action, detail))) = ACT.try_with(doing) {
        let detail = format!("{detail} {change}");
        record(tx, Entry::new(at, action, detail.trim_end()).about(subject()));
    }
}

/// Notes that what this task does is refused.
pub fn note_refusal(code: &str) {
    note(|known| {
        known.refusal.get_or_insert_with(|| code.to_owned());
    });
}

/// Notes what this task is about, for its entry if it is refused or fails.
pub fn note_subject(subject: Subject) {
    note(|known| {
        known.subject.get_or_insert(subject);
    });
}

/// Notes that a transaction of this task was committed with an entry. Until then it may be rolled back, and run again.
pub(crate) fn note_recorded() {
    note(|known| known.recorded = true);
}

fn note(change: impl FnOnce(&mut Known)) {
    let _outside_of_an_act = ACT.try_with(|act| change(&mut act.known.lock()));
}

/// Who acts in this task: the server, if nobody else does.
pub(super) fn current() -> Origin {
    ACT.try_with(|act| act.origin.clone()).unwrap_or_else(|_| Actor::server().into())
}
