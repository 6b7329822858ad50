//! The two steps in which a subscription is executed, as the GraphQL specification names them.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::cursor::Cursor;
use crate::auth::Seen;
use crate::instance::event::Event;
use crate::instance::queries::Filter;
use crate::sync::progress::ProgressFrame;

/// Where the events of a subscription come from: the subscribed field with its arguments resolved.
#[derive(Clone, Debug)]
pub enum Source {
    InstanceStates { filter: Filter, after: Option<Cursor> },
    Progress { instance_id: Option<Uuid>, seen: Seen },
}

/// The step that a resolver is executed for. It is in the data of each request of a subscription.
#[derive(Clone)]
pub enum Step {
    /// `CreateSourceEventStream`, once for each subscriber: the resolver puts the source here.
    CreateSource(Arc<Mutex<Option<Source>>>),
    /// `ExecuteSubscriptionEvent` for the change of an instance.
    InstanceState(Arc<Event>, Cursor),
    /// `ExecuteSubscriptionEvent` for the progress of a run.
    Progress(ProgressFrame),
}

impl Step {
    pub fn create_source(&self, source: Source) {
        if let Step::CreateSource(slot) = self {
            *slot.lock() = Some(source);
        }
    }
}
