//! The events of instances.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};
use entity::event::Cause;
use uuid::Uuid;

use super::Instance;
use crate::clock::date_time;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::connection;
use crate::graphql::error::ApiError;
use crate::graphql::list::{List, NestedList, PageRows};
use crate::graphql::page::int;
use crate::graphql::subscription::cursor::Cursor;
use crate::graphql::written::{Written, fields};
use crate::instance::event::{Event, history};

#[derive(Clone)]
pub struct InstanceEvent {
    seq: i64,
    cursor: Cursor,
    at: i64,
    cause: Cause,
    actor: Option<String>,
    instance: Instance,
}

impl InstanceEvent {
    /// As a subscriber gets it, with the cursor to resume after it.
    pub fn live(event: &Event, cursor: Cursor) -> Option<Self> {
        let event = Self::list(vec![event.clone()]).pop()?;
        Some(InstanceEvent { cursor, ..event })
    }

    /// Its number in the log.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    pub fn list(events: Vec<Event>) -> Vec<Self> {
        let (facts, snapshots): (Vec<_>, Vec<_>) =
            events.into_iter().map(|event| ((event.seq, event.at, event.cause, event.actor), event.snapshot)).unzip();
        let instances = Instance::list_of_snapshots(snapshots);
        let event = |((seq, at, cause, actor), instance)| InstanceEvent {
            seq,
            cursor: Cursor::at(seq),
            at,
            cause,
            actor,
            instance,
        };
        facts.into_iter().zip(instances).map(event).collect()
    }
}

/// One change of an instance, with the instance as it was right after the change. To apply it,
/// replace the instance that has this id.
#[fields]
#[Object]
impl InstanceEvent {
    /// The position of the event in the log. Give it to `instanceStateChanged` as `after` to get every later event.
    fn cursor(&self, ctx: &Context<'_>) -> String {
        self.cursor.encode(ctx.data_unchecked::<Api>().epoch)
    }

    /// When it happened; for a snapshot, when it was taken.
    fn at(&self) -> DateTime<Utc> {
        date_time(self.at)
    }

    /// What happened.
    fn cause(&self) -> Cause {
        self.cause
    }

    /// Who did it: an e-mail address or the name of a token; null if the server did.
    fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// The instance right after the change. Its lists of users, runs and events are the present ones.
    async fn instance(&self) -> Written<&Instance> {
        Written(&self.instance)
    }

    /// How many users were removed; set if the deletion of users, or of the instance, has finished.
    fn users_removed(&self) -> Option<i32> {
        matches!(self.cause, Cause::Deleted | Cause::UsersDeleted).then(|| int(self.instance.model.purged_users))
    }
}

/// The newest event comes first.
#[derive(Clone, PartialEq)]
pub struct EventList;

impl List for EventList {
    type Row = InstanceEvent;
    type Position = i64;

    fn name(&self) -> Cow<'static, str> {
        "events".into()
    }

    fn position(&self, event: &InstanceEvent) -> i64 {
        event.seq
    }
}

impl NestedList for EventList {
    type Parent = Instance;

    async fn pages(
        &self,
        api: &Api,
        instances: &[Uuid],
        after: Option<i64>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let pages = history::pages_by_instance(api.instances.db.read(), instances, after, limit).await?;
        Ok(regroup(pages, InstanceEvent::list))
    }

    async fn totals(&self, api: &Api, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        Ok(history::totals_by_instance(api.instances.db.read(), instances).await?)
    }
}

connection!(InstanceEventConnection, InstanceEventEdge, EventList, "events");
