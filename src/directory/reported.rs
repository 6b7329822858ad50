//! Which users are shown, and what of them.

use entity::instance;
use entity::user::{AccountKind, Column, Entity, UserStatus};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{Iterable, QuerySelect, Select};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::Columns;

/// What is shown of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub id: Uuid,
    pub instance_id: Uuid,
    pub external_id: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub status: UserStatus,
    pub is_admin: Option<bool>,
    pub mfa_enabled: Option<bool>,
    pub licenses: Option<String>,
    /// 0 if the user was never active.
    pub last_active_at: Option<i64>,
    pub kind: Option<AccountKind>,
    pub guest: Option<bool>,
    pub created_at: Option<i64>,
    pub aliases: Option<String>,
    pub source_id: Option<String>,
    pub employee_id: Option<String>,
    pub department: Option<String>,
    pub manager: Option<String>,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    pub removed_at: Option<i64>,
}

/// The columns that are shown, in the order of [`Reported`].
pub fn shown_columns() -> impl Iterator<Item = Column> {
    let hidden = |column: &Column| matches!(column, Column::MatchKey | Column::KeyVersion | Column::Generation);
    Column::iter().filter(move |column| !hidden(column))
}

/// Selects these columns of [`Reported`].
pub(super) fn shown(select: Select<Entity>, columns: Columns) -> Select<Entity> {
    let wanted = shown_columns().enumerate().filter(|(position, _)| columns.has(*position));
    select.select_only().columns(wanted.map(|(_, column)| column))
}

/// The instances that have rows of deleted users.
pub(super) fn purging() -> SelectStatement {
    Query::select()
        .column((instance::Entity, instance::Column::Id))
        .from(instance::Entity)
        .and_where(Expr::col((instance::Entity, instance::Column::Purging)))
        .take()
}

/// A column of the instance with this id. A join in its place could be planned as one of whole tables.
pub(super) fn of_instance(column: instance::Column, id: SimpleExpr) -> SimpleExpr {
    let mut select = Query::select();
    select
        .column((instance::Entity, column))
        .from(instance::Entity)
        .and_where(Expr::col((instance::Entity, instance::Column::Id)).eq(id));
    SimpleExpr::SubQuery(None, Box::new(select.into()))
}
