//! An entry before it is written.

use std::net::IpAddr;

use entity::audit_entry::{Action, ActorKind, Outcome, SubjectKind};
use uuid::Uuid;

use super::act::{self, Origin};
use crate::auth::{Caller, Who};
use crate::db::Tx;

/// The most characters of a name, and of a code.
const MAX_NAME: usize = 200;
const MAX_CODE: usize = 64;
/// The most characters of several addresses.
const MAX_NAMES: usize = 4_000;

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// The token or the member.
    pub id: Option<Uuid>,
    /// The name as it is now.
    pub name: String,
}

impl Actor {
    pub fn server() -> Self {
        Self::without_id(ActorKind::Server, "Muster")
    }

    pub fn command_line() -> Self {
        Self::without_id(ActorKind::CommandLine, "command line")
    }

    pub fn anonymous() -> Self {
        Self::without_id(ActorKind::Anonymous, "somebody")
    }

    pub fn member(id: Uuid, name: impl Into<String>) -> Self {
        Self { kind: ActorKind::Member, id: Some(id), name: name.into() }
    }

    fn without_id(kind: ActorKind, name: &str) -> Self {
        Self { kind, id: None, name: name.to_owned() }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        let kind = match caller.who {
            Who::Token(_) => ActorKind::Token,
            Who::Member { .. } => ActorKind::Member,
        };
        Self { kind, id: Some(caller.id()), name: caller.label() }
    }
}

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub kind: SubjectKind,
    pub id: Uuid,
    /// The name as it is now.
    pub name: Option<String>,
}

impl Subject {
    pub fn instance(id: Uuid) -> Self {
        Self { kind: SubjectKind::Instance, id, name: None }
    }

    pub fn token(id: Uuid) -> Self {
        Self { kind: SubjectKind::Token, id, name: None }
    }

    pub fn member(id: Uuid) -> Self {
        Self { kind: SubjectKind::Member, id, name: None }
    }

    pub fn session(id: Uuid) -> Self {
        Self { kind: SubjectKind::Session, id, name: None }
    }

    pub fn user(id: Uuid) -> Self {
        Self { kind: SubjectKind::User, id, name: None }
    }

    pub fn person(id: Uuid) -> Self {
        Self { kind: SubjectKind::Person, id, name: None }
    }

    pub fn webhook(id: Uuid) -> Self {
        Self { kind: SubjectKind::Webhook, id, name: None }
    }

    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }
}

/// What was done, and how it ended. Unless it says who did it, that is known from the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    at: i64,
    pub(super) action: Action,
    subject: Option<Subject>,
    names: Option<String>,
    pub(super) origin: Option<Origin>,
    pub(super) outcome: Outcome,
    pub(super) code: Option<String>,
    times: i64,
    detail: String,
}

impl Entry {
    /// Something that was done. `detail` is a sentence for a person, without names, addresses or secrets.
    pub fn new(at: i64, action: Action, detail: impl Into<String>) -> Self {
        Self {
            at,
            action,
            subject: None,
            names: None,
            origin: None,
            outcome: Outcome::Ok,
            code: None,
            times: 1,
            detail: detail.into(),
        }
    }

    #[must_use]
    pub fn about(self, subject: impl Into<Option<Subject>>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// Says which addresses it was about. They are kept apart, as names are.
    #[must_use]
    pub fn naming(self, names: impl Into<String>) -> Self {
        Self { names: Some(names.into()), ..self }
    }

    /// Says who did it, and from where.
    #[must_use]
    pub fn by(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    #[must_use]
    pub fn refused(self, code: &str) -> Self {
        Self { outcome: Outcome::Refused, code: Some(cut(code, MAX_CODE)), ..self }
    }

    #[must_use]
    pub fn failed(self, code: &str) -> Self {
        Self { outcome: Outcome::Failed, code: Some(cut(code, MAX_CODE)), ..self }
    }

    /// For something that was counted.
    #[must_use]
    pub fn times(self, times: i64) -> Self {
        Self { times, ..self }
    }
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// Adds an entry to the transaction. It is written as a part of the commit, so that nobody waits for the end of the chain
/// longer than necessary.
pub fn record(tx: &Tx, entry: Entry) {
    let Entry { at, action, subject, names, origin, outcome, code, times, detail } = entry;
    let Origin { actor, address, request_id } = origin.unwrap_or_else(act::current);
    let (subject_kind, subject_id, subject_name) = match subject {
        Some(Subject { kind, id, name }) => (Some(kind), Some(id), name.map(|name| cut(&name, MAX_NAME))),
        None => (None, None, names.map(|names| cut(&names, MAX_NAMES))),
    };
    tx.append(Draft {
        at,
        action,
        subject_kind,
        subject_id,
        subject_name,
        actor: Actor { name: cut(&actor.name, MAX_NAME), ..actor },
        address,
        request_id,
        outcome,
        code,
        times,
        detail,
    });
}

/// An entry that a transaction will append.
pub struct Draft {
    pub(super) at: i64,
    pub(super) action: Action,
    pub(super) subject_kind: Option<SubjectKind>,
    pub(super) subject_id: Option<Uuid>,
    pub(super) subject_name: Option<String>,
    pub(super) actor: Actor,
    pub(super) address: Option<IpAddr>,
    pub(super) request_id: Option<Uuid>,
    pub(super) outcome: Outcome,
    pub(super) code: Option<String>,
    pub(super) times: i64,
    pub(super) detail: String,
}
