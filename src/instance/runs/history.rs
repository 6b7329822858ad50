//! Queries for runs.

use std::collections::HashMap;

use entity::notification::MailReason;
use entity::run::{Column, Entity, Model, Outcome, Trigger};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};
use uuid::Uuid;

use crate::auth::Seen;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

/// A filter for runs. `None` matches all. Times are in Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub instance_id: Option<Uuid>,
    pub integration_keys: Option<Vec<String>>,
    pub outcomes: Option<Vec<Outcome>>,
    pub triggers: Option<Vec<Trigger>>,
    pub mail_reasons: Option<Vec<MailReason>>,
    /// At this time or later.
    pub started_after: Option<i64>,
    pub started_before: Option<i64>,
    /// What the caller sees.
    pub seen: Seen,
}

impl Filter {
    fn select(&self) -> Select<Entity> {
        let mut all = Condition::all();
        if let Some(keys) = &self.integration_keys {
            all = all.add(Column::IntegrationKey.is_in(keys));
        }
        if let Some(outcomes) = &self.outcomes {
            all = all.add(Column::Outcome.is_in(outcomes.iter().copied()));
        }
        if let Some(triggers) = &self.triggers {
            all = all.add(Column::Trigger.is_in(triggers.iter().copied()));
        }
        if let Some(reasons) = &self.mail_reasons {
            all = all.add(Column::MailReason.is_in(reasons.iter().copied()));
        }
        if let Some(at) = self.started_after {
            all = all.add(Column::StartedAt.gte(at));
        }
        if let Some(at) = self.started_before {
            all = all.add(Column::StartedAt.lt(at));
        }
        all =
            all.add_option(self.seen.as_ref().map(|scope| scope.condition(Column::IntegrationKey, Column::InstanceId)));
        Entity::find().filter(all)
    }

    /// Ids increase with time, so runs are ordered by when they were queued.
    fn page(
        &self,
        instance: Option<Uuid>,
        columns: Columns,
        backend: DbBackend,
        before: Option<Uuid>,
        limit: u64,
    ) -> SelectStatement {
        let mut select = self.select();
        if let Some(before) = before {
            select = select.filter(Column::Id.lt(before));
        }
        let select = match instance {
            Some(id) => keyset::of_parent(select, (Column::InstanceId, id), Column::Id, Order::Desc, backend),
            None => select.order_by_desc(Column::Id),
        };
        columns.of(select.limit(limit)).into_query()
    }
}

/// One page, newest first.
pub async fn page(
    reader: &Reader,
    filter: &Filter,
    columns: Columns,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>> {
    let page = filter.page(filter.instance_id, columns, reader.get_database_backend(), before, limit);
    reader.rows_with(page, columns).await
}

/// A page of runs for each of several instances, in one statement.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    columns: Columns,
    before: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Model>>> {
    let backend = reader.get_database_backend();
    let admitted = instances.iter().filter(|id| filter.instance_id.is_none_or(|only| only == **id));
    let pages = admitted.map(|id| filter.page(Some(*id), columns, backend, before, limit));
    let mut found: HashMap<Uuid, Vec<Model>> =
        keyset::pages(reader, pages.collect(), columns, |run: &Model| run.instance_id).await?;
    for runs in found.values_mut() {
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    }
    Ok(found)
}

/// How many runs match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    let own = filter.instance_id.map(|id| Column::InstanceId.eq(id));
    db::total(reader, filter.select().filter(Condition::all().add_option(own))).await
}

/// How many runs match for each instance.
pub async fn totals_by_instance(reader: &Reader, instances: &[Uuid], filter: &Filter) -> Result<HashMap<Uuid, Total>> {
    let admitted = instances.iter().copied().filter(|id| filter.instance_id.is_none_or(|only| only == *id));
    let admitted: Vec<Uuid> = admitted.collect();
    db::totals(reader, &admitted, Column::InstanceId, |_| filter.select()).await
}
