//! Reading instances and their runs.

use std::collections::{HashMap, HashSet};

use entity::instance::{Column, Entity, Health, Model, Status};
use entity::run;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::Instances;
use super::event::{Previous, Snapshot};
use super::standing::{Headline, Sql, Standing};
use crate::auth::Seen;
use crate::db::{self, Columns, Db, Total, keyset};
use crate::error::Result;

/// How many ids one statement names at most.
const PARAMETERS: usize = 10_000;

/// A filter for instances. `None` matches all, and an empty list matches none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    pub ids: Option<Vec<Uuid>>,
    pub integration_keys: Option<Vec<String>>,
    /// `None` matches all but deleted instances.
    pub statuses: Option<Vec<Status>>,
    pub health: Option<Vec<Health>>,
    pub headlines: Option<Vec<Headline>>,
    pub stale: Option<bool>,
    pub needs_attention: Option<bool>,
    /// A part of the name, in any case.
    pub search: Option<String>,
    /// What the caller sees.
    pub seen: Seen,
}

/// What instances are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, async_graphql::Enum)]
#[graphql(name = "InstanceOrderField")]
pub enum OrderField {
    /// The name, in which upper and lower case are the same.
    Name,
    /// When the instance was created.
    CreatedAt,
    /// When the last successful sync finished; instances that never synced come first.
    LastSyncedAt,
}

/// A sort key, as cursors contain it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Text(String),
    Number(i64),
}

impl OrderField {
    fn column(self) -> Column {
        match self {
            OrderField::Name => Column::NameKey,
            OrderField::CreatedAt => Column::CreatedAt,
            OrderField::LastSyncedAt => Column::LastSuccessAt,
        }
    }

    /// The sort key of a row.
    pub fn key(self, model: &Model) -> Key {
        match self {
            OrderField::Name => Key::Text(model.name_key.clone()),
            OrderField::CreatedAt => Key::Number(model.created_at),
            OrderField::LastSyncedAt => Key::Number(model.last_success_at),
        }
    }
}

/// A page of instances.
pub struct PageOf {
    pub filter: Filter,
    pub field: OrderField,
    pub descending: bool,
    pub after: Option<(Key, Uuid)>,
    /// How many rows are passed over before the page.
    pub offset: u64,
    pub limit: u64,
}

impl Filter {
    /// Whether other rows may match later although nothing is stored.
    pub fn changes_with_time(&self) -> bool {
        self.stale.is_some() || self.needs_attention.is_some()
    }

    pub(super) fn condition(&self, now: i64) -> Condition {
        let mut all = Condition::all();
        if let Some(ids) = &self.ids {
            all = all.add(Column::Id.is_in(ids.iter().copied()));
        }
        if let Some(keys) = &self.integration_keys {
            all = all.add(Column::IntegrationKey.is_in(keys));
        }
        all = match &self.statuses {
            Some(statuses) => all.add(Column::Status.is_in(statuses.iter().copied())),
            None => all.add(Column::Status.ne(Status::Deleted)),
        };
        if let Some(health) = &self.health {
            all = all.add(Column::Health.is_in(health.iter().copied()));
        }
        if let Some(headlines) = &self.headlines {
            all = all.add(Sql::has_headline(headlines));
        }
        let sql = Sql { now };
        let wanted = |condition: Condition, is: bool| if is { condition } else { condition.not() };
        all = all
            .add_option(self.stale.map(|is| wanted(sql.is_stale(), is)))
            .add_option(self.needs_attention.map(|is| wanted(sql.needs_attention(), is)));
        if let Some(search) = &self.search {
            all = all.add(db::contains(Expr::col(Column::NameKey), &search.to_lowercase()));
        }
        all = all.add_option(self.seen.as_ref().map(|scope| scope.condition(Column::IntegrationKey, Column::Id)));
        all
    }

    /// Whether a subscriber with this filter receives an event of this time: the instance matches before or after the
    /// change. Without `statuses`, this includes the last event of a deleted instance.
    pub fn matches_event(&self, snapshot: &Snapshot, at: i64) -> bool {
        let model = &snapshot.instance;
        let stands = Standing::of(model, at);
        let stood = snapshot.stood.unwrap_or(stands);
        let before = |before: &Previous| self.matches(&before.name, before.status, before.health, stood);
        self.seen.as_ref().is_none_or(|scope| scope.has(&model.integration_key, model.id))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&model.id))
            && self.integration_keys.as_ref().is_none_or(|keys| keys.contains(&model.integration_key))
            && (self.matches(&model.name, model.status, model.health, stands)
                || snapshot.before.as_ref().is_some_and(before))
    }

    fn matches(&self, name: &str, status: Status, health: Health, standing: Standing) -> bool {
        let Standing { headline, stale, needs_attention } = standing;
        self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
            && self.health.as_ref().is_none_or(|wanted| wanted.contains(&health))
            && self.headlines.as_ref().is_none_or(|wanted| wanted.contains(&headline))
            && self.stale.is_none_or(|wanted| wanted == stale)
            && self.needs_attention.is_none_or(|wanted| wanted == needs_attention)
            && self.search.as_ref().is_none_or(|search| name.to_lowercase().contains(&search.to_lowercase()))
    }
}

impl Instances {
    pub(super) async fn find_by_name(&self, name_key: &str) -> Result<Option<Model>> {
        let found = Entity::find().filter(Column::NameKey.eq(name_key)).filter(Column::Status.ne(Status::Deleted));
        Ok(found.one(self.db.read()).await?)
    }

    /// One page of instances.
    pub async fn page(&self, page: &PageOf, columns: Columns) -> Result<Vec<Model>> {
        let select = select_page(page, self.clock.now());
        self.db.read().rows_with(columns.of(select).into_query(), columns).await
    }

    /// The first page of instances for each of several integrations, in one statement.
    pub async fn pages_by_integration(
        &self,
        keys: &[String],
        page: &PageOf,
        columns: Columns,
    ) -> Result<HashMap<String, Vec<Model>>> {
        let now = self.clock.now();
        let own = |key| columns.of(select_page(page, now)).filter(Column::IntegrationKey.eq(key)).into_query();
        let pages = keys.iter().map(own);
        let mut found =
            keyset::pages(self.db.read(), pages.collect(), columns, |model: &Model| model.integration_key.clone())
                .await?;
        for models in found.values_mut() {
            models.sort_by(|a, b| {
                let order = (page.field.key(a), a.id).cmp(&(page.field.key(b), b.id));
                if page.descending { order.reverse() } else { order }
            });
        }
        Ok(found)
    }

    /// How many instances match.
    pub async fn total(&self, filter: &Filter) -> Result<Total> {
        db::total(self.db.read(), Entity::find().filter(filter.condition(self.clock.now()))).await
    }

    /// How many instances of each integration match.
    pub async fn totals_by_integration(&self, keys: &[String], filter: &Filter) -> Result<HashMap<String, Total>> {
        let now = self.clock.now();
        let instances = |_| Entity::find().filter(filter.condition(now));
        db::totals(self.db.read(), keys, Column::IntegrationKey, instances).await
    }

    /// For each integration, the number of instances that a caller sees and that are not deleted, and the number of users
    /// that they report.
    pub async fn totals(&self, keys: &[String], seen: &Seen) -> Result<HashMap<String, (i64, i64)>> {
        let own = seen.as_ref().map(|scope| scope.condition(Column::IntegrationKey, Column::Id));
        let rows = Entity::find()
            .select_only()
            .column(Column::IntegrationKey)
            .column_as(Column::Id.count(), "instances")
            .column_as(sum(Column::UserCount), "users")
            .filter(Column::Status.is_in(Status::KEPT))
            .filter(Column::IntegrationKey.is_in(keys))
            .filter(Condition::all().add_option(own))
            .group_by(Column::IntegrationKey)
            .into_query();
        let rows: Vec<(String, i64, i64)> = self.db.read().rows(rows).await?;
        Ok(rows.into_iter().map(|(key, instances, users)| (key, (instances, users))).collect())
    }

    /// The next instances in the order of ids. `conn` can be a transaction, whose snapshot is then used.
    pub async fn snapshots_after<C: ConnectionTrait>(
        conn: &C,
        filter: &Filter,
        now: i64,
        after: Uuid,
        limit: u64,
    ) -> Result<Vec<Snapshot>> {
        let mut select = Entity::find().filter(filter.condition(now)).filter(Column::Id.gt(after));
        QueryTrait::query(&mut select).order_by(Column::Id, Order::Asc).limit(limit);
        let models = select.all(conn).await?;
        let ids: Vec<Uuid> =
            models.iter().flat_map(|model| model.last_run_id.into_iter().chain(model.current_run_id)).collect();
        let runs = run::Entity::find().filter(run::Column::Id.is_in(ids)).all(conn).await?;
        let runs: HashMap<Uuid, run::Model> = runs.into_iter().map(|run| (run.id, run)).collect();
        let find = |id: Option<Uuid>| id.and_then(|id| runs.get(&id).cloned());
        Ok(models
            .into_iter()
            .map(|instance| Snapshot {
                last_run: find(instance.last_run_id),
                current_run: find(instance.current_run_id),
                instance,
                before: None,
                stood: None,
            })
            .collect())
    }

    /// Those of `ids` that the server still has.
    pub async fn existing(&self, ids: Vec<Uuid>, seen: &Seen) -> Result<HashSet<Uuid>> {
        existing(&self.db, ids, seen).await
    }

    pub async fn by_ids(&self, ids: &[Uuid], columns: Columns) -> Result<HashMap<Uuid, Model>> {
        let rows: Vec<Model> = keyset::by_ids::<Entity, _>(self.db.read(), Column::Id, ids, columns).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }

    pub async fn runs_by_ids(&self, ids: &[Uuid], columns: Columns) -> Result<HashMap<Uuid, run::Model>> {
        let rows: Vec<run::Model> =
            keyset::by_ids::<run::Entity, _>(self.db.read(), run::Column::Id, ids, columns).await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// A sum as 64-bit integer, because SUM has another type on some databases.
fn sum(column: Column) -> SimpleExpr {
    Expr::expr(Func::coalesce([Func::sum(Expr::col(column)).into(), Expr::value(0)])).cast_as("BIGINT")
}

fn select_page(page: &PageOf, now: i64) -> sea_orm::Select<Entity> {
    let order = if page.descending { Order::Desc } else { Order::Asc };
    let column = page.field.column();
    let mut select = Entity::find().filter(page.filter.condition(now));
    if let Some((key, id)) = &page.after {
        let key: SimpleExpr = match key {
            Key::Text(text) => Expr::value(text.as_str()),
            Key::Number(number) => Expr::value(*number),
        };
        select = select.filter(keyset::after(column, Column::Id, &order, key, Expr::value(*id)));
    }
    let query = QueryTrait::query(&mut select);
    query.order_by(column, order.clone()).order_by(Column::Id, order).limit(page.limit);
    if page.offset > 0 {
        query.offset(page.offset);
    }
    select
}

/// Those of `ids` that the database still has, and that a caller sees.
pub async fn existing(db: &Db, ids: Vec<Uuid>, seen: &Seen) -> Result<HashSet<Uuid>> {
    let ids = Vec::from_iter(HashSet::<Uuid>::from_iter(ids));
    let mut found = HashSet::new();
    for some in ids.chunks(PARAMETERS) {
        let own = seen.as_ref().map(|scope| scope.condition(Column::IntegrationKey, Column::Id));
        let own = Condition::all().add(Column::Id.is_in(some.iter().copied())).add_option(own);
        let rows = Entity::find().select_only().column(Column::Id).filter(own);
        found.extend(rows.into_tuple::<Uuid>().all(db.read()).await?);
    }
    Ok(found)
}
