//! Queries for findings.

use std::collections::HashMap;

use entity::finding::{Column, Entity, Kind, Model, Severity};
use entity::instance::Status;
use entity::{account_link, evaluation, finding_exception, instance, user};
use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait, IntoColumnRef, Order, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Value,
};
use uuid::Uuid;

use super::tally::Open;
use crate::auth::Seen;
use crate::db::{self, Columns, Reader, Total, keyset};
use crate::error::Result;

/// How many parts a page is read in at most.
const PARTS_OF_PAGE: usize = 200;

/// What holds of a finding now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, async_graphql::Enum)]
#[graphql(name = "FindingState")]
pub enum State {
    /// It holds.
    Open,
    /// It holds, and a member has accepted it until a time that has not come yet.
    Excepted,
    /// It held when its account could last be looked at. The last sync could not read what it follows from.
    Unconfirmed,
    /// It does not hold any more.
    Closed,
}

/// The states of findings that hold.
pub const HOLDS: [State; 2] = [State::Open, State::Excepted];

/// What holds of a finding now.
pub fn state(finding: &Model, now: i64) -> State {
    match finding {
        Model { closed_at: Some(_), .. } => State::Closed,
        Model { confirmed: false, .. } => State::Unconfirmed,
        Model { excepted_until: Some(until), .. } if *until > now => State::Excepted,
        Model { .. } => State::Open,
    }
}

/// A filter for findings. `None` matches all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub kinds: Option<Vec<Kind>>,
    pub severities: Option<Vec<Severity>>,
    pub instances: Option<Vec<Uuid>>,
    pub person: Option<Uuid>,
    pub states: Vec<State>,
    pub opened_since: Option<i64>,
    /// What the caller sees.
    pub seen: Seen,
}

impl Filter {
    /// All but the types and the instances.
    fn condition(&self, now: i64) -> Condition {
        let mut states = Condition::any();
        for state in &self.states {
            let open = || Condition::all().add(Column::ClosedAt.is_null());
            let excepted = Column::ExceptedUntil.gt(now);
            let is_open = Column::ExceptedUntil.is_null().or(Column::ExceptedUntil.lte(now));
            states = states.add(match state {
                State::Open => open().add(Column::Confirmed.eq(true)).add(is_open),
                State::Excepted => open().add(Column::Confirmed.eq(true)).add(excepted),
                State::Unconfirmed => open().add(Column::Confirmed.eq(false)),
                State::Closed => Condition::all().add(Column::ClosedAt.is_not_null()),
            });
        }
        let mut all = Condition::all().add(states);
        if !self.states.contains(&State::Closed) {
            // Said once more, so that the indexes of open findings are used.
            all = all.add(Column::ClosedAt.is_null());
        }
        if let Some(severities) = &self.severities {
            all = all.add(Column::Severity.is_in(severities.iter().copied()));
        }
        if let Some(since) = self.opened_since {
            all = all.add(Column::OpenedAt.gte(since));
        }
        if let Some(person) = self.person {
            let mut accounts = Query::select();
            accounts
                .column(account_link::Column::UserId)
                .from(account_link::Entity)
                .and_where(Expr::col(account_link::Column::PersonId).eq(person));
            all = all.add(Expr::col((Entity, Column::UserId)).in_subquery(accounts));
        }
        if let Some(scope) = &self.seen {
            let mut seen = Query::select();
            seen.column((instance::Entity, instance::Column::Id))
                .from(instance::Entity)
                .cond_where(scope.condition(instance::Column::IntegrationKey, instance::Column::Id));
            all = all.add(Expr::col((Entity, Column::InstanceId)).in_subquery(seen));
        }
        all
    }

    fn select(&self, now: i64) -> Select<Entity> {
        let mut select = Entity::find().filter(self.condition(now));
        if let Some(kinds) = &self.kinds {
            select = select.filter(Column::Kind.is_in(kinds.iter().copied()));
        }
        if let Some(instances) = &self.instances {
            select = select.filter(Column::InstanceId.is_in(instances.iter().copied()));
        }
        select
    }

    /// Whether the counts of the evaluations say how many there are.
    fn is_counted(&self) -> bool {
        let Self { severities, person, states, opened_since, seen, kinds: _, instances: _ } = self;
        severities.is_none() && person.is_none() && opened_since.is_none() && seen.is_none() && states[..] == HOLDS
    }

    /// One select for each index that has the findings in their order.
    fn parts(&self, now: i64, after: Option<Uuid>, limit: u64, backend: DbBackend) -> Vec<SelectStatement> {
        let base = || {
            let select = Entity::find().filter(self.condition(now));
            match after {
                Some(after) => select.filter(Column::Id.lt(after)),
                None => select,
            }
        };
        if self.states.contains(&State::Closed) || self.person.is_some() {
            let mut select = self.select(now);
            if let Some(after) = after {
                select = select.filter(Column::Id.lt(after));
            }
            return vec![select.order_by_desc(Column::Id).limit(limit).into_query()];
        }
        let kinds: Vec<Kind> = self.kinds.clone().unwrap_or_else(|| Kind::iter().collect());
        let own = |column: Column, value: Value| equal((Entity, column), value, backend);
        let of_kind = |kind: Kind| {
            let kind = own(Column::Kind, sea_orm::ActiveEnum::to_value(&kind).into());
            base().filter(kind).order_by_desc(Column::Kind)
        };
        match &self.instances {
            Some(instances) if instances.len() * kinds.len() <= PARTS_OF_PAGE => {
                let of = |kind: Kind, instance: &Uuid| {
                    let instance = own(Column::InstanceId, (*instance).into());
                    let select = of_kind(kind).filter(instance).order_by_desc(Column::InstanceId);
                    select.order_by_desc(Column::Id).limit(limit).into_query()
                };
                kinds.iter().flat_map(|kind| instances.iter().map(move |instance| of(*kind, instance))).collect()
            }
            instances => kinds
                .into_iter()
                .map(|kind| {
                    let mut select = of_kind(kind);
                    if let Some(instances) = instances {
                        select = select.filter(Column::InstanceId.is_in(instances.iter().copied()));
                    }
                    select.order_by_desc(Column::Id).limit(limit).into_query()
                })
                .collect(),
        }
    }
}

/// An equality that is still a part of the order, see [`keyset::of_parent`].
fn equal(column: impl IntoColumnRef, value: Value, backend: DbBackend) -> SimpleExpr {
    let column = Expr::col(column);
    match (backend, value) {
        (DbBackend::Postgres, Value::Uuid(Some(id))) => column.eq(PgFunc::any(Expr::value(vec![id]))),
        (DbBackend::Postgres, Value::String(Some(text))) => column.eq(PgFunc::any(Expr::value(vec![text]))),
        (_, value) => column.eq(value),
    }
}

/// One page of findings, the newest first.
pub async fn page(reader: &Reader, filter: &Filter, now: i64, after: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let pages = filter.parts(now, after, limit, reader.get_database_backend());
    let mut found = keyset::pages(reader, pages, Columns::ALL, |_: &Model| ()).await?;
    Ok(newest(found.remove(&()).unwrap_or_default(), limit))
}

fn newest(mut found: Vec<Model>, limit: u64) -> Vec<Model> {
    found.sort_by_key(|found| std::cmp::Reverse(found.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    found
}

/// How many findings match.
pub async fn total(reader: &Reader, filter: &Filter, now: i64) -> Result<Total> {
    if !filter.is_counted() {
        return db::total(reader, filter.select(now)).await;
    }
    let mut rows = evaluation::Entity::find().select_only().column(evaluation::Column::Open);
    if let Some(instances) = &filter.instances {
        rows = rows.filter(evaluation::Column::InstanceId.is_in(instances.iter().copied()));
    }
    let mut open = Open::default();
    for (text,) in reader.rows::<(String,)>(rows.into_query()).await? {
        open.merge(&Open::read(&text)?);
    }
    let of = |kind: &Kind| filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
    Ok(Total::exact(Kind::iter().filter(of).map(|kind| open.of(kind)).sum()))
}

/// When the oldest of the evaluations ended that a list rests on: those of its instances. `None` if there was none.
pub async fn evaluated_at(reader: &Reader, filter: &Filter) -> Result<Option<i64>> {
    use {account_link as l, evaluation as e, instance as i};
    let mut among = Query::select();
    among.column((i::Entity, i::Column::Id)).from(i::Entity).and_where(i::Column::Status.is_in(Status::KEPT));
    if let Some(scope) = &filter.seen {
        among.cond_where(scope.condition(i::Column::IntegrationKey, i::Column::Id));
    }
    let own = |column: e::Column| Expr::col((e::Entity, column));
    let mut oldest = Query::select();
    oldest
        .expr_as(own(e::Column::EvaluatedAt).min(), "evaluated_at")
        .from(e::Entity)
        .and_where(own(e::Column::Counts).is_not_null())
        .and_where(own(e::Column::InstanceId).in_subquery(among));
    if let Some(instances) = &filter.instances {
        let backend = reader.get_database_backend();
        oldest.and_where(keyset::among((e::Entity, e::Column::InstanceId), instances, backend));
    }
    if let Some(person) = filter.person {
        let mut accounts = Query::select();
        accounts
            .column((l::Entity, l::Column::InstanceId))
            .from(l::Entity)
            .and_where(Expr::col((l::Entity, l::Column::PersonId)).eq(person));
        oldest.and_where(own(e::Column::InstanceId).in_subquery(accounts));
    }
    let oldest: Option<(Option<i64>,)> = reader.row(oldest).await?;
    Ok(oldest.and_then(|(at,)| at))
}

/// When the instance of each of several accounts was last evaluated.
pub async fn evaluated_at_by_user(reader: &Reader, users: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    use evaluation as e;
    let mut rows = Query::select();
    rows.column((user::Entity, user::Column::Id))
        .column((e::Entity, e::Column::EvaluatedAt))
        .from(user::Entity)
        .inner_join(
            e::Entity,
            Expr::col((e::Entity, e::Column::InstanceId)).equals((user::Entity, user::Column::InstanceId)),
        )
        .and_where(Expr::col((e::Entity, e::Column::Counts)).is_not_null())
        .and_where(keyset::among((user::Entity, user::Column::Id), users, reader.get_database_backend()));
    let rows: Vec<(Uuid, Option<i64>)> = reader.rows(rows).await?;
    Ok(rows.into_iter().filter_map(|(user, at)| Some((user, at?))).collect())
}

/// A page of the findings of each of several accounts, the newest first.
pub async fn pages_by_user(
    reader: &Reader,
    users: &[Uuid],
    filter: &Filter,
    now: i64,
    after: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Model>>> {
    let backend = reader.get_database_backend();
    let of = |user: &Uuid| {
        let mut select = filter.select(now);
        if let Some(after) = after {
            select = select.filter(Column::Id.lt(after));
        }
        keyset::of_parent(select, (Column::UserId, *user), Column::Id, Order::Desc, backend).limit(limit).into_query()
    };
    let found = keyset::pages(reader, users.iter().map(of).collect(), Columns::ALL, |it: &Model| it.user_id).await?;
    Ok(found.into_iter().map(|(user, found)| (user, newest(found, limit))).collect())
}

/// How many findings each of several accounts has.
pub async fn totals_by_user(
    reader: &Reader,
    users: &[Uuid],
    filter: &Filter,
    now: i64,
) -> Result<HashMap<Uuid, Total>> {
    db::totals(reader, users, Column::UserId, |_| filter.select(now)).await
}

/// One finding.
pub async fn find(reader: &Reader, id: Uuid) -> Result<Option<Model>> {
    reader.row(Entity::find().filter(Column::Id.eq(id)).into_query()).await
}

/// The exceptions of several findings, by finding.
pub async fn exceptions(reader: &Reader, findings: &[Uuid]) -> Result<HashMap<Uuid, finding_exception::Model>> {
    use finding_exception::Column as C;
    let backend = reader.get_database_backend();
    let mut rows = Query::select();
    rows.column((Entity, Column::Id))
        .column((Entity, Column::InstanceId))
        .column((Entity, Column::Kind))
        .column((user::Entity, user::Column::ExternalId))
        .from(Entity)
        .inner_join(user::Entity, Expr::col((user::Entity, user::Column::Id)).equals((Entity, Column::UserId)))
        .and_where(keyset::among((Entity, Column::Id), findings, backend));
    let rows: Vec<(Uuid, Uuid, Kind, String)> = reader.rows(rows).await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let instances: Vec<Uuid> = rows.iter().map(|(_, instance, ..)| *instance).collect();
    let external = rows.iter().map(|(.., external)| external.clone());
    let known = finding_exception::Entity::find()
        .filter(keyset::among((finding_exception::Entity, C::InstanceId), &instances, backend))
        .filter(C::ExternalId.is_in(external));
    let known: HashMap<(Uuid, Kind, String), finding_exception::Model> = reader
        .rows::<finding_exception::Model>(known.into_query())
        .await?
        .into_iter()
        .map(|row| ((row.instance_id, row.kind, row.external_id.clone()), row))
        .collect();
    let exception = |(id, instance, kind, external)| Some((id, known.get(&(instance, kind, external))?.clone()));
    Ok(rows.into_iter().filter_map(exception).collect())
}
