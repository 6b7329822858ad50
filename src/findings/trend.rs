//! Figures day by day.
//!
//! The end of an evaluation records by how much each figure has changed since the last one, on the day (UTC) on which it
//! ends. So a figure at the end of a day is the sum of all changes until then. A day without a row is one on which
//! nothing changed, and figures outlive the accounts that they counted. What all instances have together is recorded
//! beside, so that a trend of everything costs its days only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entity::posture_day::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IdenStatic, IntoActiveModel, QueryFilter, QuerySelect, Select,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::code::{Question, questions};
use super::tally::{Answers, Open, Tally};
use crate::auth::Seen;
use crate::clock::day_of;
use crate::db::{Reader, Tx, keyset};
use crate::error::Result;

/// What is recorded of all instances together.
const TOGETHER: Uuid = Uuid::nil();
/// The question that says only that an evaluation ended on the day.
const EVALUATED: &str = "evaluated";
/// For how many days changes are kept apart.
const KEPT_DAYS: i32 = 3 * 366;

/// The figures that were recorded last.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded(BTreeMap<String, Answers>);

impl Recorded {
    /// The figures of an evaluation. Those with a finding are the ones whose finding is open.
    fn of(tally: &Tally, open: &Open) -> Self {
        let figure = |question| {
            let mut answers = tally.of(question);
            if let Question::Finding(kind) = question {
                answers.yes = open.of(kind);
            }
            (name(question), answers)
        };
        Self(questions().map(figure).filter(|(_, answers)| *answers != Answers::default()).collect())
    }

    /// By how much each figure is more than before. Those that are as before are left out.
    fn since(&self, before: &Self) -> BTreeMap<String, Answers> {
        let names: BTreeSet<&String> = self.0.keys().chain(before.0.keys()).collect();
        let of = |own: &Self, name: &String| own.0.get(name).copied().unwrap_or_default();
        let more = names.into_iter().map(|name| (name.clone(), of(self, name) - of(before, name)));
        more.filter(|(_, more)| *more != Answers::default()).collect()
    }
}

/// The name under which a question is stored.
fn name(question: Question) -> String {
    match serde_json::to_value(question) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a question is a text: {other:?}"),
    }
}

/// Records the figures of an evaluation that ends now. `recorded` is what was recorded before, and becomes what is now.
pub(super) async fn record(
    tx: &Tx,
    instance: Uuid,
    recorded: &mut String,
    (tally, open): (&Tally, &Open),
    now: i64,
) -> Result<()> {
    let figures = Recorded::of(tally, open);
    let more = figures.since(&serde_json::from_str(recorded)?);
    *recorded = serde_json::to_string(&figures)?;
    fold(tx, instance, day_of(now) - KEPT_DAYS).await?;
    add(tx, instance, day_of(now), more).await
}

/// Records that an instance has no accounts any more.
pub(super) async fn end(tx: &Tx, instance: Uuid, recorded: &str, now: i64) -> Result<()> {
    add(tx, instance, day_of(now), Recorded::default().since(&serde_json::from_str(recorded)?)).await
}

async fn add(tx: &Tx, instance: Uuid, day: i32, more: BTreeMap<String, Answers>) -> Result<()> {
    let more: Vec<(String, Answers)> = more.into_iter().chain([(EVALUATED.to_owned(), Answers::default())]).collect();
    // Of all together last, because other evaluations change that as well.
    let rows = [instance, TOGETHER].into_iter().flat_map(|instance_id| {
        more.iter().map(move |(question, Answers { yes, no, unknown })| {
            let (question, yes, no, unknown) = (question.clone(), *yes, *no, *unknown);
            Model { instance_id, question, day, yes, no, unknown }.into_active_model()
        })
    });
    store(tx, rows.collect()).await
}

/// Adds changes to those of their days.
async fn store(tx: &Tx, rows: Vec<ActiveModel>) -> Result<()> {
    let sum = |column: Column| (column, Expr::col((Entity, column)).add(Expr::col(("excluded", column))));
    let known = OnConflict::columns([Column::InstanceId, Column::Question, Column::Day])
        .values([Column::Yes, Column::No, Column::Unknown].map(sum))
        .to_owned();
    Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Puts all changes before a day together on that day.
async fn fold(tx: &Tx, instance: Uuid, day: i32) -> Result<()> {
    // The names are for the index.
    let names = questions().map(name).chain([EVALUATED.to_owned()]);
    let old = Condition::all()
        .add(Column::InstanceId.is_in([instance, TOGETHER]))
        .add(Column::Question.is_in(names))
        .add(Column::Day.lt(day));
    // What is added again is what was deleted here, and not by another server meanwhile.
    let rows = Entity::delete_many().filter(old).exec_with_returning(tx.conn()).await?;
    let mut sums: BTreeMap<(bool, Uuid, String), Answers> = BTreeMap::new();
    for Model { instance_id, question, yes, no, unknown, .. } in rows.into_iter().filter(|it| it.question != EVALUATED)
    {
        *sums.entry((instance_id == TOGETHER, instance_id, question)).or_default() += Answers { yes, no, unknown };
    }
    let rows = sums.into_iter().map(|((_, instance_id, question), Answers { yes, no, unknown })| {
        Model { instance_id, question, day, yes, no, unknown }.into_active_model()
    });
    let rows: Vec<ActiveModel> = rows.collect();
    if rows.is_empty() { Ok(()) } else { store(tx, rows).await }
}

/// The instances whose recorded changes do not add up to the figures that were recorded last.
pub(super) async fn recount<C: ConnectionTrait>(conn: &C) -> Result<Vec<(Uuid, String)>> {
    use entity::evaluation;
    let mut sums: BTreeMap<Uuid, BTreeMap<String, Answers>> = BTreeMap::new();
    let rows = summed(Entity::find().select_only().columns([Column::InstanceId, Column::Question]));
    let rows = rows.group_by(Column::InstanceId).group_by(Column::Question);
    for (instance, question, yes, no, unknown) in rows.into_tuple::<(Uuid, String, i64, i64, i64)>().all(conn).await? {
        sums.entry(instance).or_default().insert(question, Answers { yes, no, unknown });
    }
    let recorded = evaluation::Entity::find().select_only();
    let recorded = recorded.columns([evaluation::Column::InstanceId, evaluation::Column::Recorded]);
    let mut wanted: BTreeMap<Uuid, BTreeMap<String, Answers>> = BTreeMap::new();
    for (instance, recorded) in recorded.into_tuple::<(Uuid, String)>().all(conn).await? {
        let Recorded(figures) = serde_json::from_str(&recorded)?;
        for (question, figure) in &figures {
            let own = wanted.entry(TOGETHER).or_default().entry(question.clone()).or_default();
            *own += *figure;
        }
        wanted.insert(instance, figures);
    }
    let instances: BTreeSet<Uuid> = sums.keys().chain(wanted.keys()).copied().collect();
    let mut figures =
        |instance| [&mut sums, &mut wanted].map(|all| Recorded(all.remove(&instance).unwrap_or_default()));
    let wrong = instances.into_iter().filter(|instance| {
        let [sums, wanted] = figures(*instance);
        !sums.since(&wanted).is_empty()
    });
    Ok(wrong.map(|instance| (instance, "its trend does not end with its figures".to_owned())).collect())
}

/// A figure at the end of a day, or now if the day has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The number of the day since 1970-01-01, in UTC.
    pub day: i32,
    pub answers: Answers,
    /// Whether no evaluation ended on the day, so that the figure is that of an earlier day.
    pub is_carried: bool,
}

/// The answers to a question from the first to the last of these days, of all instances that the caller sees, or of
/// those of them that are asked for. It begins with the first day on which an evaluation ended.
pub async fn days(
    reader: &Reader,
    question: Question,
    (first, last): (i32, i32),
    asked: Option<&[Uuid]>,
    seen: &Seen,
) -> Result<Vec<Day>> {
    let of = |question: &str| {
        let rows = Entity::find().select_only().filter(Column::Question.eq(question));
        match (asked, seen) {
            (None, None) => rows.filter(Column::InstanceId.eq(TOGETHER)),
            _ => rows.filter(Column::InstanceId.in_subquery(instances(reader, asked, seen))),
        }
    };
    let begun = of(EVALUATED).column_as(Column::Day.min(), "day").into_tuple::<Option<i32>>().one(reader).await?;
    let Some(begun) = begun.flatten() else { return Ok(Vec::new()) };
    let first = Ord::max(first, begun);
    let name = name(question);
    let before = summed(of(&name)).filter(Column::Day.lt(first));
    let before: Option<(Option<i64>, Option<i64>, Option<i64>)> = before.into_tuple().one(reader).await?;
    let (yes, no, unknown) = before.unwrap_or_default();
    let [yes, no, unknown] = [yes, no, unknown].map(Option::unwrap_or_default);
    let mut sum = Answers { yes, no, unknown };
    let changes = summed(of(&name).column(Column::Day)).filter(Column::Day.between(first, last)).group_by(Column::Day);
    let changes: Vec<(i32, i64, i64, i64)> = changes.into_tuple().all(reader).await?;
    let changes: HashMap<i32, Answers> =
        changes.into_iter().map(|(day, yes, no, unknown)| (day, Answers { yes, no, unknown })).collect();
    let evaluated = of(EVALUATED).column(Column::Day).filter(Column::Day.between(first, last)).distinct();
    let evaluated: HashSet<i32> = evaluated.into_tuple().all(reader).await?.into_iter().collect();
    let each = (first..=last).map(|day| {
        sum += changes.get(&day).copied().unwrap_or_default();
        Day { day, answers: sum, is_carried: !evaluated.contains(&day) }
    });
    Ok(each.collect())
}

/// With the sums of the changes.
fn summed(rows: Select<Entity>) -> Select<Entity> {
    let sum = |column: Column| Expr::cust(format!("CAST(SUM({}) AS bigint)", column.as_str()));
    [Column::Yes, Column::No, Column::Unknown]
        .into_iter()
        .fold(rows, |rows, column| rows.column_as(sum(column), column.as_str()))
}

/// The instances that the caller sees, or those of them that are asked for, also those that are deleted.
fn instances(reader: &Reader, asked: Option<&[Uuid]>, seen: &Seen) -> sea_orm::sea_query::SelectStatement {
    use entity::instance::{Column, Entity};
    let mut found = Query::select();
    found.column(Column::Id).from(Entity);
    if let Some(asked) = asked {
        found.and_where(keyset::among((Entity, Column::Id), asked, reader.get_database_backend()));
    }
    if let Some(scope) = seen {
        found.cond_where(scope.condition(Column::IntegrationKey, Column::Id));
    }
    found
}
