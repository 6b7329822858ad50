//! The order in which an address gets the mails about one instance.
//!
//! Mails are held and retried one by one, so a later one could overtake an earlier one. A mail waits for earlier ones of
//! other kinds that nobody has tried to send yet. A recovery waits for its failure until that is sent or given up.

use entity::job;
use entity::notification::{Column, Entity, Model, NotificationKind, NotificationState};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, IntoIden, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ModelTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::error::Result;

/// Selects the ids of those that a mail waits for, of which `value` gives the columns.
fn earlier(value: impl Fn(Column) -> Expr) -> SelectStatement {
    let table = Alias::new("earlier").into_iden();
    let of = |column: Column| Expr::col((table.clone(), column));
    let untried = of(Column::Attempts).eq(0).or(value(Column::Kind).eq(NotificationKind::SyncRecovered));
    Query::select()
        .expr(of(Column::Id))
        .from_as(Entity, table.clone())
        .and_where(of(Column::InstanceId).eq(value(Column::InstanceId)))
        .and_where(of(Column::AddressKey).eq(value(Column::AddressKey)))
        .and_where(of(Column::Id).lt(value(Column::Id)))
        .and_where(of(Column::Kind).ne(value(Column::Kind)))
        .and_where(of(Column::State).eq(NotificationState::Queued))
        .and_where(untried)
        .to_owned()
}

/// Matches mails that wait for no other.
pub(super) fn in_turn() -> Expr {
    Expr::exists(earlier(|column| Expr::col((Entity, column)))).not()
}

/// When the last of those that `mail` waits for is due; `None` if it waits for none.
pub(super) async fn waits_until<C: ConnectionTrait>(conn: &C, mail: &Model) -> Result<Option<i64>> {
    let jobs = job::Entity::find().select_only().column(job::Column::RunAt);
    let jobs = jobs.filter(job::Column::Kind.eq(job::Kind::Mail));
    let jobs = jobs.filter(job::Column::Subject.in_subquery(earlier(|column| Expr::value(mail.get(column)))));
    Ok(jobs.order_by_desc(job::Column::RunAt).into_tuple().one(conn).await?)
}
