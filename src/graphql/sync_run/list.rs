//! Lists of runs, and one run by its id.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use entity::notification::MailReason;
use entity::run::{Outcome, Trigger};
use uuid::Uuid;

use super::SyncRun;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::list::{List, NestedList, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;
use crate::instance::runs::history::{self, Filter};

/// Selects runs. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct SyncRunFilter {
    /// Runs of this instance.
    instance_id: Option<ID>,
    /// Runs of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// Runs with one of these outcomes. Runs that are queued or running have none.
    outcomes: Option<Vec<Outcome>>,
    /// Runs that were started for one of these reasons.
    triggers: Option<Vec<Trigger>>,
    /// Runs whose outcome was mailed, or was not, for one of these reasons. Runs that are queued or running have none.
    mail_decisions: Option<Vec<MailReason>>,
    /// Runs that started at this time or later.
    started_after: Option<DateTime<Utc>>,
    /// Runs that started before this time.
    started_before: Option<DateTime<Utc>>,
}

/// The newest run comes first.
#[derive(Clone, PartialEq)]
pub struct RunList(Filter);

impl RunList {
    pub fn new(api: &Api, filter: Option<SyncRunFilter>) -> Result<Self, ApiError> {
        let SyncRunFilter {
            instance_id,
            integration_keys,
            outcomes,
            triggers,
            mail_decisions,
            started_after,
            started_before,
        } = filter.unwrap_or_default();
        Ok(Self(Filter {
            instance_id: instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?,
            integration_keys: page::bounded(integration_keys, "integrationKeys")?,
            outcomes,
            triggers,
            mail_reasons: mail_decisions,
            started_after: started_after.map(|at| at.timestamp_millis()),
            started_before: started_before.map(|at| at.timestamp_millis()),
            seen: api.seen.clone(),
        }))
    }
}

impl List for RunList {
    type Row = SyncRun;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "runs".into()
    }

    fn position(&self, run: &SyncRun) -> Uuid {
        run.model.id
    }
}

impl RootList for RunList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(SyncRun::list(history::page(api.instances.db.read(), &self.0, api.wanted.runs, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(history::total(api.instances.db.read(), &self.0).await?)
    }
}

impl NestedList for RunList {
    type Parent = Instance;

    async fn pages(
        &self,
        api: &Api,
        instances: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let (reader, columns) = (api.instances.db.read(), api.wanted.runs);
        let pages = history::pages_by_instance(reader, instances, &self.0, columns, after, limit).await?;
        Ok(regroup(pages, SyncRun::list))
    }

    async fn totals(&self, api: &Api, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        Ok(history::totals_by_instance(api.instances.db.read(), instances, &self.0).await?)
    }
}

connection!(SyncRunConnection, SyncRunEdge, RunList, "sync runs");

#[derive(Default)]
pub struct SyncRunQuery;

#[Object]
impl SyncRunQuery {
    /// The runs of all instances that the server still has, the newest first. The last run of each instance is always
    /// kept.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn sync_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects runs.")] filter: Option<SyncRunFilter>,
    ) -> Result<Written<SyncRunConnection>, ApiError> {
        Ok(Written(SyncRunConnection(
            connection::root(ctx, RunList::new(ctx.data_unchecked(), filter)?, first, after).await?,
        )))
    }

    /// One run. Null if there is none with that id, or if it is so old that it was removed.
    async fn sync_run(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the run.")] id: ID,
    ) -> Option<Written<SyncRun>> {
        nullable(ctx, SyncRun::find(ctx.data_unchecked(), &id).await).map(Written)
    }
}
