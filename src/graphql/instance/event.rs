//! Events: what happened to instances.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};
use entity::event::Cause;
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::error::ApiError;
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, Page, Total, connection, int};
use crate::graphql::subscription::Cursor;
use crate::instance::event::{Event, history};

/// One recorded change of an instance.
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
    pub fn told(happened: &Event, cursor: Cursor) -> Option<Self> {
        let mut events = Self::list(vec![happened.clone()]);
        let event = events.pop()?;
        Some(InstanceEvent { cursor, ..event })
    }

    fn list(events: Vec<Event>) -> Vec<Self> {
        let (facts, snapshots): (Vec<_>, Vec<_>) =
            events.into_iter().map(|event| ((event.seq, event.at, event.cause, event.actor), event.snapshot)).unzip();
        let instances = Instance::list_of_snapshots(snapshots);
        let told = facts.into_iter().zip(instances);
        told.map(|((seq, at, cause, actor), instance)| InstanceEvent {
            seq,
            cursor: Cursor::at(seq),
            at,
            cause,
            actor,
            instance,
        })
        .collect()
    }
}

/// One recorded change, with the instance as it stood right after it. Apply it by replacing the instance of that id.
#[Object]
impl InstanceEvent {
    /// To be given to `instanceStateChanged` as `after`, to hear of everything after this event.
    async fn cursor(&self, ctx: &Context<'_>) -> String {
        self.cursor.encode(ctx.data_unchecked::<Api>().epoch)
    }

    /// When it happened; for a snapshot, when it was taken.
    async fn at(&self) -> DateTime<Utc> {
        date_time(self.at)
    }

    /// What happened.
    async fn cause(&self) -> Cause {
        self.cause
    }

    /// Who did it: an address or the name of a token; null when the server did.
    async fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// The instance right after it. Its lists of users, runs and events are as they are now.
    async fn instance(&self) -> &Instance {
        &self.instance
    }

    /// How many users were removed: set when a deletion of users, or of the instance, has finished.
    async fn users_removed(&self) -> Option<i32> {
        matches!(self.cause, Cause::Deleted | Cause::UsersDeleted).then(|| int(self.instance.model.purged_users))
    }
}

connection!(InstanceEventConnection, InstanceEventEdge, InstanceEvent, "events");

pub async fn of_instance(
    ctx: &Context<'_>,
    instance: &Instance,
    first: Option<i32>,
    after: Option<String>,
) -> Result<InstanceEventConnection, ApiError> {
    let api = ctx.data_unchecked::<Api>().clone();
    let size = page::size(first)?;
    let start: Option<i64> = page::decode("events", after.as_deref())?;
    let name = format!("events {start:?} {size}");
    let events: Option<Vec<InstanceEvent>> = instance
        .list
        .instances
        .load(name, &instance.model.id, |ids| {
            let api = api.clone();
            async move {
                let pages = history::pages_by_instance(api.instances.db.read(), &ids, start, size as u64 + 1);
                Ok(regroup(pages.await?, InstanceEvent::list))
            }
        })
        .await?;
    let rows =
        events.unwrap_or_default().into_iter().map(|event| (page::encode("events", &event.seq), event)).collect();
    let (list, id) = (instance.list.clone(), instance.model.id);
    let total: Total = Arc::new(move || {
        let (api, list) = (api.clone(), list.clone());
        Box::pin(async move {
            let counts: Option<i64> = list
                .instances
                .load("events total".into(), &id, |ids: Vec<Uuid>| async move {
                    let counts: HashMap<Uuid, i64> = history::count_by_instance(api.instances.db.read(), &ids).await?;
                    Ok(counts)
                })
                .await?;
            Ok(counts.unwrap_or(0))
        })
    });
    Ok(InstanceEventConnection(Page::new(rows, size, after.as_deref(), total)))
}
