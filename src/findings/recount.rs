//! Counts everything again, for the doctor.

use std::collections::BTreeMap;

use entity::evaluation::{Entity as Evaluations, Model as Evaluation};
use entity::finding::{Column, Entity, Kind, Severity};
use entity::{instance, people_task};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::changes::Key;
use super::code::Asked;
use super::evaluate::Part;
use super::settings::Rules;
use super::standard::{self, Standard};
use super::tally::{Open, Tally};
use super::trend;
use crate::error::Result;

/// How many accounts are looked at together.
const TOGETHER_COUNTED: u64 = 20_000;

/// What differs, by instance.
pub async fn recount<C: ConnectionTrait>(conn: &C) -> Result<Vec<(Uuid, String)>> {
    use entity::evaluation::Column as C;
    let mut wrong = trend::recount(conn).await?;
    let is_settled = people_task::Entity::find().count(conn).await? == 0;
    for row in Evaluations::find().order_by_asc(C::InstanceId).all(conn).await? {
        let instance = row.instance_id;
        if Open::read(&row.open)? != count(conn, instance).await? {
            wrong.push((instance, "its counts are not those of its open findings".to_owned()));
        }
        if is_settled && is_quiet(conn, &row).await? {
            wrong.extend(compare(conn, row).await?.into_iter().map(|text| (instance, text.to_owned())));
        }
    }
    Ok(wrong)
}

/// How many confirmed findings of an instance are open.
async fn count<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<Open> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::Kind, Column::Severity])
        .column_as(Column::Id.count(), "rows")
        .filter(Column::InstanceId.eq(instance))
        .filter(Column::ClosedAt.is_null())
        .filter(Column::Confirmed.eq(true))
        .group_by(Column::Kind)
        .group_by(Column::Severity);
    let mut open = Open::default();
    for (kind, severity, rows) in rows.into_tuple::<(Kind, Severity, i64)>().all(conn).await? {
        open.add(kind, severity, rows);
    }
    Ok(open)
}

/// Whether nothing has happened since the last evaluation that the next one would have to look at.
async fn is_quiet<C: ConnectionTrait>(conn: &C, row: &Evaluation) -> Result<bool> {
    if row.pending.is_some() || row.begun != row.requested {
        return Ok(false);
    }
    let provider = entity::sign_in_provider::Entity::find_by_id(row.instance_id).one(conn).await?;
    let both = [Some(row.instance_id), provider.map(|row| row.provider_id)].into_iter().flatten();
    let busy = instance::Entity::find().filter(instance::Column::Id.is_in(both)).filter(
        Condition::any().add(instance::Column::CurrentRunId.is_not_null()).add(instance::Column::Purging.eq(true)),
    );
    Ok(busy.count(conn).await? == 0)
}

async fn compare<C: ConnectionTrait>(conn: &C, row: Evaluation) -> Result<Option<&'static str>> {
    let (Some(counts), Some(purge_through)) = (&row.counts, standard::purge_through(conn, row.instance_id).await?)
    else {
        return Ok(None);
    };
    let tally = Tally::read(counts)?;
    let standard = Standard::of(conn, row.instance_id, &Rules::read(conn).await?).await?;
    if standard != tally.standard {
        return Ok(Some("it was evaluated by other rules than those of now"));
    }
    let (mut again, mut after) = (Tally::new(standard, tally.rules_changed), None);
    loop {
        let part =
            Part::look(conn, (&again.standard, Asked::Everything), after, purge_through, TOGETHER_COUNTED).await?;
        if part.holds != open(conn, row.instance_id, after, part.last).await? {
            return Ok(Some("its open findings are not those that hold"));
        }
        for (code, accounts) in part.codes {
            again.add(code, accounts);
        }
        after = part.last;
        if after.is_none() {
            return Ok((again != tally).then_some("its figures are not those of its accounts"));
        }
    }
}

/// The confirmed findings of some accounts.
async fn open<C: ConnectionTrait>(
    conn: &C,
    instance: Uuid,
    after: Option<Uuid>,
    last: Option<Uuid>,
) -> Result<BTreeMap<Key, Severity>> {
    let mut rows = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Kind, Column::Severity])
        .filter(Column::InstanceId.eq(instance))
        .filter(Column::ClosedAt.is_null())
        .filter(Column::Confirmed.eq(true))
        .filter(Column::UserId.gt(after.unwrap_or_default()));
    if let Some(last) = last {
        rows = rows.filter(Column::UserId.lte(last));
    }
    let rows: Vec<(Uuid, Kind, Severity)> = rows.into_tuple().all(conn).await?;
    Ok(rows.into_iter().map(|(user, kind, severity)| ((user, kind), severity)).collect())
}
