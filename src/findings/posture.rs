//! Figures of instances, and of all of them together. Each is what the evaluations have counted.

use std::collections::{BTreeMap, HashMap};

use async_graphql::Enum;
use entity::finding::{self, Kind};
use entity::{evaluation, instance};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, EnumIter, QueryFilter, QuerySelect, QueryTrait};
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

/// A question of `Posture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, Enum)]
pub enum PostureQuestion {
    /// `Posture.mfa`
    Mfa,
    /// `Posture.admins`
    Admins,
    /// `Posture.adminMfa`
    AdminMfa,
    /// `Posture.externalAdmins`
    ExternalAdmins,
    /// `Posture.externals`
    Externals,
    /// `Posture.leavers`
    Leavers,
    /// `Posture.unmatched`
    Unmatched,
    /// `Posture.inactive`
    Inactive,
    /// `Posture.neverActive`
    NeverActive,
    /// `Posture.neverUsed`
    NeverUsed,
    /// `Posture.ownedServices`
    OwnedServices,
    /// `Posture.duplicates`
    Duplicates,
    /// `Posture.conflicts`
    Conflicts,
}

impl PostureQuestion {
    /// The question as findings ask it, and whether its answer is the other way round.
    pub fn asked(self) -> (Question, bool) {
        let finding = |kind, is_turned| (Question::Finding(kind), is_turned);
        match self {
            Self::Mfa => finding(Kind::NoMfa, true),
            Self::Admins => (Question::Figure(Figure::Admin), false),
            Self::AdminMfa => finding(Kind::AdminWithoutMfa, true),
            Self::ExternalAdmins => finding(Kind::ExternalAdmin, false),
            Self::Externals => finding(Kind::External, false),
            Self::Leavers => finding(Kind::LeaverActive, false),
            Self::Unmatched => finding(Kind::Unmatched, false),
            Self::Inactive => finding(Kind::Inactive, false),
            Self::NeverActive => (Question::Figure(Figure::NeverActive), false),
            Self::NeverUsed => finding(Kind::NeverUsed, false),
            Self::OwnedServices => finding(Kind::UnownedService, true),
            Self::Duplicates => finding(Kind::Duplicate, false),
            Self::Conflicts => finding(Kind::Conflict, false),
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mfa => "mfa",
            Self::Admins => "admins",
            Self::AdminMfa => "admin_mfa",
            Self::ExternalAdmins => "external_admins",
            Self::Externals => "externals",
            Self::Leavers => "leavers",
            Self::Unmatched => "unmatched",
            Self::Inactive => "inactive",
            Self::NeverActive => "never_active",
            Self::NeverUsed => "never_used",
            Self::OwnedServices => "owned_services",
            Self::Duplicates => "duplicates",
            Self::Conflicts => "conflicts",
        }
    }
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
                *own += answers;
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

    /// The answers to a question.
    pub fn measure(&self, question: PostureQuestion) -> Measured {
        let oldest = |part: fn(&AsOf) -> Option<i64>| self.as_of.iter().filter_map(part).min();
        let (asked, is_turned) = question.asked();
        let Answers { mut yes, mut no, unknown } = self.answers.get(&asked).copied().unwrap_or_default();
        let mut excepted = 0;
        if let Question::Finding(kind) = asked {
            // What the list has, also while an evaluation is at work.
            (yes, excepted) = (self.open.of(kind), self.excepted.get(&kind).copied().unwrap_or(0));
        }
        if is_turned {
            (yes, no) = (no, yes);
        }
        let as_of = match asked {
            Question::Finding(Kind::NoMfa | Kind::AdminWithoutMfa) => oldest(|it| it.mfa),
            Question::Finding(Kind::ExternalAdmin) | Question::Figure(Figure::Admin) => oldest(|it| it.admins),
            Question::Finding(Kind::Inactive | Kind::NeverUsed) | Question::Figure(Figure::NeverActive) => {
                oldest(|it| it.activity)
            }
            Question::Finding(_) => oldest(|it| it.users),
        };
        Measured { yes, no, unknown, excepted, as_of }
    }

    /// How many findings are open.
    pub fn open(&self) -> &Open {
        &self.open
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
