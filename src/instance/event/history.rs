//! Reading the events of instances.

use std::collections::HashMap;

use entity::event::{Cause, Column, Entity, Model};
use entity::instance;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};
use uuid::Uuid;

use super::Event;
use crate::auth::Seen;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;
use crate::events;

/// How many events a page looks at, at most, to find those that match.
const LOOKED_AT: i64 = 20_000;

/// A filter for events. `None` matches all, and an empty list matches none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub instance_ids: Option<Vec<Uuid>>,
    pub causes: Option<Vec<Cause>>,
    /// What the caller sees.
    pub seen: Seen,
}

impl Filter {
    fn select(&self) -> Select<Entity> {
        let mut all = Condition::all();
        if let Some(causes) = &self.causes {
            all = all.add(Column::Cause.is_in(causes.iter().copied()));
        }
        if let Some(ids) = &self.instance_ids {
            all = all.add(Column::InstanceId.is_in(ids.iter().copied()));
        }
        if let Some(scope) = &self.seen {
            // An instance is kept as long as the log has an event of it.
            let own = instance::Entity::find()
                .select_only()
                .column(instance::Column::Id)
                .filter(scope.condition(instance::Column::IntegrationKey, instance::Column::Id));
            all = all.add(Column::InstanceId.in_subquery(own.into_query()));
        }
        Entity::find().filter(all)
    }
}

/// The newest events before `before` that match, and where the list goes on if not enough were found among those that
/// were looked at.
pub async fn page(
    reader: &Reader,
    filter: &Filter,
    before: Option<i64>,
    limit: u64,
) -> Result<(Vec<Event>, Option<i64>)> {
    if let Some(ids) = &filter.instance_ids {
        return Ok((of_instances(reader, filter, ids, before, limit).await?, None));
    }
    let before = match before {
        Some(before) => before,
        None => events::newest(reader).await? + 1,
    };
    let from = before - LOOKED_AT;
    let looked_at = Condition::all().add(Column::Seq.lt(before)).add(Column::Seq.gte(from));
    let select = filter.select().filter(looked_at).order_by_desc(Column::Seq).limit(limit);
    let rows: Vec<Model> = reader.rows(select.into_query()).await?;
    let ended = rows.len() as u64 >= limit || from <= events::oldest(reader).await?;
    Ok((rows.into_iter().filter_map(decode).collect(), (!ended).then_some(from)))
}

/// Each instance has an index of its own events.
async fn of_instances(
    reader: &Reader,
    filter: &Filter,
    ids: &[Uuid],
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<Event>> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let filter = Filter { instance_ids: None, ..filter.clone() };
    let pages = select_pages(reader, &ids, &filter, before, limit).await?;
    let mut events: Vec<Event> = pages.into_values().flatten().collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.seq));
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

/// The causes of the events with which runs end.
pub const ENDS: [Cause; 4] = [Cause::SyncSucceeded, Cause::SyncPartial, Cause::SyncFailed, Cause::SyncCancelled];

/// At most `limit` events from `from` on with which runs ended, the oldest first, and the number of the first event that
/// was not looked at.
pub async fn ends_from(reader: &Reader, seen: &Seen, from: i64, limit: u64) -> Result<(Vec<Event>, i64)> {
    // First: an event that comes later is looked at the next time.
    let to = (events::newest(reader).await? + 1).min(from.saturating_add(LOOKED_AT)).max(from);
    let filter = Filter { causes: Some(ENDS.to_vec()), seen: seen.clone(), ..Filter::default() };
    let looked_at = Condition::all().add(Column::Seq.gte(from)).add(Column::Seq.lt(to));
    let select = filter.select().filter(looked_at).order_by_asc(Column::Seq).limit(limit);
    let rows: Vec<Model> = reader.rows(select.into_query()).await?;
    let last = rows.last().filter(|_| rows.len() as u64 == limit).map(|row| row.seq + 1);
    Ok((rows.into_iter().filter_map(decode).collect(), last.unwrap_or(to)))
}

/// How many events match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    db::total(reader, filter.select()).await
}

/// The newest events of several instances before `before`, in one statement.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    before: Option<i64>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Event>>> {
    select_pages(reader, instances, &Filter::default(), before, limit).await
}

async fn select_pages(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    before: Option<i64>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Event>>> {
    let backend = reader.get_database_backend();
    let pages = instances.iter().map(|id| {
        let mut select = filter.select();
        if let Some(before) = before {
            select = select.filter(Column::Seq.lt(before));
        }
        let own = keyset::of_parent(select, (Column::InstanceId, *id), Column::Seq, Order::Desc, backend);
        own.limit(limit).into_query()
    });
    let rows: HashMap<Uuid, Vec<Model>> =
        keyset::pages(reader, pages.collect(), Columns::ALL, |event: &Model| event.instance_id).await?;
    let mut found: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for row in rows.into_values().flatten() {
        let instance = row.instance_id;
        if let Some(event) = decode(row) {
            found.entry(instance).or_default().push(event);
        }
    }
    for events in found.values_mut() {
        events.sort_by_key(|event| std::cmp::Reverse(event.seq));
    }
    Ok(found)
}

fn decode(row: Model) -> Option<Event> {
    let seq = row.seq;
    let event = Event::try_from(row);
    event
        .inspect_err(|error| {
            tracing::error!(event.seq = seq, error = %error.chain(), "an event cannot be read and is skipped");
        })
        .ok()
}

/// How many events each instance has.
pub async fn totals_by_instance(reader: &Reader, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, instances, Column::InstanceId, |_| Entity::find()).await
}
