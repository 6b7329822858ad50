//! Figures of instances, and of all of them together. Each is what the evaluations have counted.

use std::collections::{BTreeMap, HashMap};

use entity::finding::{self, Kind};
use entity::{evaluation, instance};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::code::{Figure, Question, Sort};
use super::standard::AsOf;
use super::tally::{Answers, Open, Tally};
use crate::auth::Seen;
use crate::db::{Reader, keyset};
use crate::error::Result;
use crate::instance::freshness::{Freshness, FreshnessState};

/// How many sources that are not fresh are named.
pub const MAX_STALE: usize = 100;

/// What is counted of the accounts of one instance or of several.
#[derive(Clone, Debug, Default)]
pub struct Posture {
    answers: BTreeMap<Question, Answers>,
    open: Open,
    excepted: BTreeMap<Kind, i64>,
    accounts: BTreeMap<Sort, i64>,
    as_of: Vec<AsOf>,
    /// When the oldest of the evaluations ended.
    pub evaluated_at: Option<i64>,
    /// The instances that are not fresh, at most [`MAX_STALE`] of them.
    pub stale: Vec<instance::Model>,
    /// How many accounts belong to instances that were never evaluated.
    pub unassessed: i64,
}

/// A question, and the part of the user list that answers it.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    Finding(Kind),
    Admins,
    NeverActive,
}

/// The answers to a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub yes: i64,
    pub no: i64,
    pub unknown: i64,
    /// How many of the findings are accepted.
    pub excepted: i64,
    pub as_of: Option<i64>,
}

impl Posture {
    fn add(&mut self, instance: instance::Model, row: Option<evaluation::Model>, now: i64) -> Result<()> {
        let evaluated = row.and_then(|row| Some((row.counts?, row.open, row.evaluated_at?)));
        if let Some((counts, open, at)) = evaluated {
            let tally = Tally::read(&counts)?;
            for (question, answers) in tally.answers {
                let own = self.answers.entry(question).or_default();
                own.yes += answers.yes;
                own.no += answers.no;
                own.unknown += answers.unknown;
            }
            for (sort, accounts) in tally.accounts {
                *self.accounts.entry(sort).or_default() += accounts;
            }
            self.open.merge(&Open::read(&open)?);
            self.as_of.push(tally.standard.as_of);
            self.evaluated_at = Some(self.evaluated_at.map_or(at, |other| Ord::min(other, at)));
        } else {
            self.unassessed += instance.user_count;
        }
        if Freshness::of(&instance, now).state != FreshnessState::Fresh && self.stale.len() < MAX_STALE {
            self.stale.push(instance);
        }
        Ok(())
    }

    /// The answers to a question; those with a finding are `yes`.
    pub fn measure(&self, measure: Measure) -> Measured {
        let oldest = |part: fn(&AsOf) -> Option<i64>| self.as_of.iter().filter_map(part).min();
        let question = match measure {
            Measure::Finding(kind) => Question::Finding(kind),
            Measure::Admins => Question::Figure(Figure::Admin),
            Measure::NeverActive => Question::Figure(Figure::NeverActive),
        };
        let Answers { yes, no, unknown } = self.answers.get(&question).copied().unwrap_or_default();
        let (yes, excepted) = match measure {
            // What the list has, also while an evaluation is at work.
            Measure::Finding(kind) => (self.open.of(kind), self.excepted.get(&kind).copied().unwrap_or(0)),
            Measure::Admins | Measure::NeverActive => (yes, 0),
        };
        let as_of = match measure {
            Measure::Finding(Kind::NoMfa | Kind::AdminWithoutMfa) => oldest(|it| it.mfa),
            Measure::Finding(Kind::ExternalAdmin) | Measure::Admins => oldest(|it| it.admins),
            Measure::Finding(Kind::Inactive | Kind::NeverUsed) | Measure::NeverActive => oldest(|it| it.activity),
            Measure::Finding(_) => oldest(|it| it.users),
        };
        Measured { yes, no, unknown, excepted, as_of }
    }

    pub fn accounts(&self, sort: Sort) -> i64 {
        self.accounts.get(&sort).copied().unwrap_or(0)
    }
}

/// The figures of each of several instances.
pub async fn by_instance(reader: &Reader, instances: &[Uuid], now: i64) -> Result<HashMap<Uuid, Posture>> {
    let backend = reader.get_database_backend();
    let own = keyset::among((instance::Entity, instance::Column::Id), instances, backend);
    let rows: Vec<instance::Model> = reader.rows(instance::Entity::find().filter(own).into_query()).await?;
    let mut found = HashMap::new();
    let mut evaluations = evaluations(reader, instances).await?;
    let mut excepted = excepted(reader, instances, now).await?;
    for row in rows {
        let id = row.id;
        let mut posture = Posture { excepted: excepted.remove(&id).unwrap_or_default(), ..Posture::default() };
        posture.add(row, evaluations.remove(&id), now)?;
        found.insert(id, posture);
    }
    Ok(found)
}

/// The figures of all instances that the caller sees, or of those of them that are asked for.
pub async fn together(reader: &Reader, asked: Option<&[Uuid]>, seen: &Seen, now: i64) -> Result<Posture> {
    use instance::{Column, Entity, Status};
    let mut rows = Entity::find().filter(Column::Status.is_in(Status::KEPT));
    if let Some(asked) = asked {
        rows = rows.filter(keyset::among((Entity, Column::Id), asked, reader.get_database_backend()));
    }
    if let Some(scope) = seen {
        rows = rows.filter(scope.condition(Column::IntegrationKey, Column::Id));
    }
    let rows: Vec<instance::Model> = reader.rows(rows.into_query()).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut evaluations = evaluations(reader, &ids).await?;
    let mut posture = Posture::default();
    for (kind, count) in excepted(reader, &ids, now).await?.into_values().flatten() {
        *posture.excepted.entry(kind).or_default() += count;
    }
    for row in rows {
        let own = evaluations.remove(&row.id);
        posture.add(row, own, now)?;
    }
    Ok(posture)
}

async fn evaluations(reader: &Reader, instances: &[Uuid]) -> Result<HashMap<Uuid, evaluation::Model>> {
    let own =
        keyset::among((evaluation::Entity, evaluation::Column::InstanceId), instances, reader.get_database_backend());
    let rows: Vec<evaluation::Model> = reader.rows(evaluation::Entity::find().filter(own).into_query()).await?;
    Ok(rows.into_iter().map(|row| (row.instance_id, row)).collect())
}

/// How many findings of each type are accepted now.
async fn excepted(reader: &Reader, instances: &[Uuid], now: i64) -> Result<HashMap<Uuid, BTreeMap<Kind, i64>>> {
    use finding::{Column, Entity};
    let rows = Entity::find()
        .select_only()
        .columns([Column::InstanceId, Column::Kind])
        .expr_as(Expr::col((Entity, Column::Id)).count(), "rows")
        .filter(keyset::among((Entity, Column::InstanceId), instances, reader.get_database_backend()))
        .filter(Column::ClosedAt.is_null())
        .filter(Column::Confirmed.eq(true))
        .filter(Column::ExceptedUntil.is_not_null())
        .filter(Column::ExceptedUntil.gt(now))
        .group_by(Column::InstanceId)
        .group_by(Column::Kind);
    let rows: Vec<(Uuid, Kind, i64)> = reader.rows(rows.into_query()).await?;
    let mut found: HashMap<Uuid, BTreeMap<Kind, i64>> = HashMap::new();
    for (instance, kind, count) in rows {
        found.entry(instance).or_default().insert(kind, count);
    }
    Ok(found)
}

/// How many findings are open, by type and severity, in all instances.
pub async fn open(reader: &Reader) -> Result<Open> {
    let rows = evaluation::Entity::find().select_only().column(evaluation::Column::Open);
    let mut open = Open::default();
    for (text,) in reader.rows::<(String,)>(rows.into_query()).await? {
        open.merge(&Open::read(&text)?);
    }
    Ok(open)
}
