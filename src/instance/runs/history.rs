//! Queries for runs.

use std::collections::HashMap;

use entity::run::{Column, Entity, Model, Outcome, Trigger};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryTrait, Select,
};
use uuid::Uuid;

use crate::db::{Reader, keyset};
use crate::error::Result;

/// A filter for runs. `None` matches all. Times are in Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub instance_id: Option<Uuid>,
    pub integration_keys: Option<Vec<String>>,
    pub outcomes: Option<Vec<Outcome>>,
    pub triggers: Option<Vec<Trigger>>,
    /// At this time or later.
    pub started_after: Option<i64>,
    pub started_before: Option<i64>,
}

impl Filter {
    fn select(&self) -> Select<Entity> {
        let mut all = Condition::all();
        if let Some(id) = self.instance_id {
            all = all.add(Column::InstanceId.eq(id));
        }
        if let Some(keys) = &self.integration_keys {
            all = all.add(Column::IntegrationKey.is_in(keys));
        }
        if let Some(outcomes) = &self.outcomes {
            all = all.add(Column::Outcome.is_in(outcomes.iter().copied()));
        }
        if let Some(triggers) = &self.triggers {
            all = all.add(Column::Trigger.is_in(triggers.iter().copied()));
        }
        if let Some(at) = self.started_after {
            all = all.add(Column::StartedAt.gte(at));
        }
        if let Some(at) = self.started_before {
            all = all.add(Column::StartedAt.lt(at));
        }
        Entity::find().filter(all)
    }

    /// Ids increase with time, so runs are ordered by when they were queued.
    fn page(&self, before: Option<Uuid>, limit: u64) -> Select<Entity> {
        let mut select = self.select();
        if let Some(before) = before {
            select = select.filter(Column::Id.lt(before));
        }
        QueryTrait::query(&mut select).order_by((Entity, Column::Id), Order::Desc).limit(limit);
        select
    }
}

/// One page, newest first.
pub async fn page(reader: &Reader, filter: &Filter, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    reader.rows(filter.page(before, limit).into_query()).await
}

/// A page of runs for each of several instances, in one statement.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Model>>> {
    let pages = instances.iter().map(|id| filter.page(before, limit).filter(Column::InstanceId.eq(*id)).into_query());
    let mut found = keyset::pages(reader, pages.collect(), |run: &Model| run.instance_id).await?;
    for runs in found.values_mut() {
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    }
    Ok(found)
}

/// How many runs match.
pub async fn count<C: ConnectionTrait>(conn: &C, filter: &Filter) -> Result<i64> {
    Ok(i64::try_from(filter.select().count(conn).await?).unwrap_or(i64::MAX))
}

/// How many runs match for each instance.
pub async fn count_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
) -> Result<HashMap<Uuid, i64>> {
    let own = keyset::among((Entity, Column::InstanceId), instances, reader.get_database_backend());
    let runs = filter.select().filter(own);
    keyset::counts(reader, runs, Column::InstanceId).await
}
