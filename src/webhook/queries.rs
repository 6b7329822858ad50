//! Reading webhooks and their deliveries.

use std::collections::HashMap;

use entity::webhook::{self, Kind};
use entity::webhook_delivery::{Column, Entity, Model, State};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoIden, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::attempt::LONGEST_ASKED_MS;
use super::kind::{Family, family};
use crate::db::{self, Reader, Total};
use crate::error::Result;

/// All webhooks, in the order in which they were created. There are at most [`super::MOST_WEBHOOKS`].
pub async fn all<C: ConnectionTrait>(conn: &C) -> Result<Vec<webhook::Model>> {
    Ok(webhook::Entity::find().order_by_asc(webhook::Column::Id).all(conn).await?)
}

pub async fn find<C: ConnectionTrait>(conn: &C, id: Uuid) -> Result<Option<webhook::Model>> {
    Ok(webhook::Entity::find_by_id(id).one(conn).await?)
}

/// How many deliveries wait for each webhook. One for which none waits is left out.
pub async fn queued<C: ConnectionTrait>(conn: &C) -> Result<HashMap<Uuid, i64>> {
    // By the index of each webhook: most deliveries do not wait.
    let known = webhook::Entity::find().select_only().column(webhook::Column::Id).into_query();
    let counts: Vec<(Uuid, i64)> = Entity::find()
        .select_only()
        .column(Column::WebhookId)
        .column_as(Column::Id.count(), "rows")
        .filter(Column::WebhookId.in_subquery(known))
        .filter(Column::State.eq(State::Queued))
        .group_by(Column::WebhookId)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Whether at least `limit` deliveries wait for a webhook.
pub(super) async fn has_queued<C: ConnectionTrait>(conn: &C, webhook: Uuid, limit: u64) -> Result<bool> {
    let last: Option<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WebhookId.eq(webhook))
        .filter(Column::State.eq(State::Queued))
        .offset(limit.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(conn)
        .await?;
    Ok(last.is_some())
}

/// Which messages of a webhook wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    /// Those about one instance.
    Instances,
    /// All: people read a chat from top to bottom.
    One,
}

impl Lanes {
    pub fn of(kind: Kind) -> Self {
        match family(kind) {
            Family::Chat => Self::One,
            Family::Standard | Family::Alert => Self::Instances,
        }
    }
}

/// The queued deliveries of a webhook that wait for no other: the first one of each lane, and tests.
pub(super) fn heads(webhook: Uuid, lanes: Lanes, only_tests: bool) -> Select<Entity> {
    let table = Alias::new("earlier").into_iden();
    let of = |column: Column| Expr::col((table.clone(), column));
    let own = |column: Column| Expr::col((Entity, column));
    let same_instance = of(Column::InstanceId).eq(own(Column::InstanceId));
    let earlier = Query::select()
        .expr(of(Column::Id))
        .from_as(Entity, table.clone())
        .and_where(of(Column::WebhookId).eq(own(Column::WebhookId)))
        .and_where(of(Column::State).eq(State::Queued))
        .and_where_option((lanes == Lanes::Instances).then_some(same_instance))
        .and_where(of(Column::Position).lt(own(Column::Position)))
        .to_owned();
    let tests = Condition::all().add_option(only_tests.then(|| Column::Position.is_null()));
    Entity::find()
        .filter(Column::WebhookId.eq(webhook))
        .filter(Column::State.eq(State::Queued))
        .filter(tests)
        .filter(Expr::exists(earlier).not())
}

/// Which deliveries are tried now, at most `limit`. Those that were tried least come first, so that one that is refused
/// again and again does not keep others waiting.
pub(super) async fn due<C: ConnectionTrait>(
    conn: &C,
    hook: &webhook::Model,
    only_tests: bool,
    now: i64,
    limit: u64,
) -> Result<Vec<Model>> {
    let is_due = Condition::any()
        .add(Column::NextTryAt.lte(now))
        // Only a wrong clock can have written this.
        .add(Column::NextTryAt.gt(now.saturating_add(LONGEST_ASKED_MS)));
    let due = heads(hook.id, Lanes::of(hook.kind), only_tests)
        .filter(is_due)
        .order_by_asc(Column::Attempts)
        .order_by_asc(Column::Position)
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(due.all(conn).await?)
}

/// When the next delivery is due; `None` if none is queued.
pub(super) async fn next_try<C: ConnectionTrait>(
    conn: &C,
    hook: &webhook::Model,
    only_tests: bool,
) -> Result<Option<i64>> {
    let next = heads(hook.id, Lanes::of(hook.kind), only_tests)
        .select_only()
        .column(Column::NextTryAt)
        .order_by_asc(Column::NextTryAt);
    Ok(next.limit(1).into_tuple().one(conn).await?)
}

/// A filter for deliveries. `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub webhook_id: Option<Uuid>,
    pub states: Option<Vec<State>>,
}

impl Filter {
    fn select(&self) -> Select<Entity> {
        let mut select = Entity::find();
        if let Some(webhook) = self.webhook_id {
            select = select.filter(Column::WebhookId.eq(webhook));
        }
        if let Some(states) = &self.states {
            select = select.filter(Column::State.is_in(states.iter().copied()));
        }
        select
    }
}

/// One page of deliveries, the newest first.
pub async fn page(reader: &Reader, filter: &Filter, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let mut select = filter.select();
    if let Some(before) = before {
        select = select.filter(Column::Id.lt(before));
    }
    reader.rows(select.order_by_desc(Column::Id).limit(limit).into_query()).await
}

/// How many deliveries match.
pub async fn total(reader: &Reader, filter: &Filter) -> Result<Total> {
    db::total(reader, filter.select()).await
}

pub async fn find_delivery<C: ConnectionTrait>(conn: &C, id: Uuid) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(conn).await?)
}
