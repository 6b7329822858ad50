//! Reading the events of instances.

use std::collections::HashMap;

use entity::event::{Column, Entity, Model};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::Event;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

/// The newest events of several instances before `before`, in one statement.
pub async fn pages_by_instance(
    reader: &Reader,
    instances: &[Uuid],
    before: Option<i64>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Event>>> {
    let backend = reader.get_database_backend();
    let pages = instances.iter().map(|id| {
        let mut select = Entity::find();
        if let Some(before) = before {
            select = select.filter(Column::Seq.lt(before));
        }
        let own = keyset::of_parent(select, (Column::InstanceId, *id), Column::Seq, Order::Desc, backend);
        own.limit(limit).into_query()
    });
    let rows = keyset::pages(reader, pages.collect(), Columns::ALL, |event: &Model| event.instance_id).await?;
    let mut found: HashMap<Uuid, Vec<Event>> = HashMap::new();
    for row in rows.into_values().flatten() {
        let (seq, instance) = (row.seq, row.instance_id);
        match row.try_into() {
            Ok(event) => found.entry(instance).or_default().push(event),
            Err(error) => {
                tracing::error!(event.seq = seq, error = %error.chain(), "an event cannot be read and is skipped");
            }
        }
    }
    for events in found.values_mut() {
        events.sort_by_key(|event| std::cmp::Reverse(event.seq));
    }
    Ok(found)
}

/// How many events each instance has.
pub async fn totals_by_instance(reader: &Reader, instances: &[Uuid]) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, instances, Column::InstanceId, |_| Entity::find()).await
}
