//! The events of all instances, and where their log ends.

use std::borrow::Cow;

use async_graphql::{Context, ID, InputObject, Object};
use entity::event::Cause;

use super::event::{InstanceEvent, InstanceEventConnection};
use crate::db::Total;
use crate::events;
use crate::graphql::api::Api;
use crate::graphql::connection;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::subscription::cursor::Cursor;
use crate::graphql::written::Written;
use crate::instance::event::history::{self, Filter};

/// Selects events. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct InstanceEventFilter {
    /// Events of one of these instances.
    instance_ids: Option<Vec<ID>>,
    /// Events of one of these causes.
    causes: Option<Vec<Cause>>,
}

/// The newest event comes first.
struct EventLog(Filter);

impl EventLog {
    fn new(api: &Api, filter: Option<InstanceEventFilter>) -> Result<Self, ApiError> {
        let InstanceEventFilter { instance_ids, causes } = filter.unwrap_or_default();
        let ids = page::bounded(instance_ids, "instanceIds")?;
        let ids = ids.map(|ids| ids.iter().map(|id| id::argument(Kind::Instance, id)).collect()).transpose()?;
        Ok(Self(Filter { instance_ids: ids, causes, seen: api.seen.clone() }))
    }
}

impl List for EventLog {
    type Row = InstanceEvent;
    type Position = i64;

    fn name(&self) -> Cow<'static, str> {
        "all events".into()
    }

    fn position(&self, event: &InstanceEvent) -> i64 {
        event.seq()
    }
}

impl RootList for EventLog {
    async fn page(&self, api: &Api, after: Option<i64>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let (events, rest) = history::page(api.instances.db.read(), &self.0, after, limit).await?;
        Ok(PageRows { rows: InstanceEvent::list(events), rest })
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(history::total(api.instances.db.read(), &self.0).await?)
    }
}

#[derive(Default)]
pub struct EventLogQuery;

#[Object]
impl EventLogQuery {
    /// The events of all instances that the log still has, also of deleted ones, the newest first. A page may have fewer
    /// events than it could, even none, when very many must be looked at to find few: go on as long as `hasNextPage` is
    /// true.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn instance_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects events.")] filter: Option<InstanceEventFilter>,
    ) -> Result<Written<InstanceEventConnection>, ApiError> {
        let list = EventLog::new(ctx.data_unchecked(), filter)?;
        Ok(Written(InstanceEventConnection(connection::root(ctx, list, first, after).await?)))
    }

    /// The cursor of the newest event, also if there is none yet. A page that has read its lists by queries goes on with
    /// `instanceStateChanged(after: …)` and gets no snapshots. Ask for the cursor first, then for the lists, then
    /// subscribe: so each change is in the lists, or is sent, or both.
    async fn event_cursor(&self, ctx: &Context<'_>) -> Result<String, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(Cursor::at(events::newest(api.instances.db.read()).await?).encode(api.epoch))
    }
}
