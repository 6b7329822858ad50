//! Statements over many users at once.
//!
//! Their columns come from the entity, so a new column is written without an edit here.
//! PostgreSQL gets one bound value for all rows: the text of a statement, and so its plan, stays
//! the same for any number of rows. SQLite has no arrays and gets one bound value for each cell.

use std::sync::LazyLock;

use entity::user::{ActiveModel, Column, Entity, Model};
use entity::user_change::{self, Kind};
use sea_orm::sea_query::{Expr, OnConflict, PostgresQueryBuilder, TableBuilder, Value};
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, QueryFilter, Statement,
};
use uuid::Uuid;

use super::reconcile::Scope;
use crate::db::keyset::array;
use crate::error::Result;

/// The largest number of users in one statement. SQLite binds at most 32,766 values.
pub(super) const ROWS: usize = 1_000;

/// A change of a user that a run found.
pub(super) struct Change {
    /// As in the column of this name.
    pub run_id: Uuid,
    pub user_id: Uuid,
    pub kind: Kind,
    /// The API names of the fields that changed, separated by commas.
    pub fields: String,
    /// As in the column of this name.
    pub old_values: String,
}

fn is_postgres<C: ConnectionTrait>(conn: &C) -> bool {
    conn.get_database_backend() == DbBackend::Postgres
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// The rows of an instance's users with these ids, also of those who were removed.
pub(super) async fn find<C: ConnectionTrait>(conn: &C, instance: Uuid, external_ids: &[&str]) -> Result<Vec<Model>> {
    if is_postgres(conn) {
        let ids = array(external_ids.iter().map(|id| (*id).to_owned()));
        return Ok(Entity::find().from_raw_sql(statement(FIND, [instance.into(), ids])).all(conn).await?);
    }
    let asked = Column::ExternalId.is_in(external_ids.iter().copied());
    Ok(Entity::find().filter(Column::InstanceId.eq(instance)).filter(asked).all(conn).await?)
}

// One look-up in the unique index for each id, whatever the table's statistics are. During a first
// sync they count no users for the instance, and a simpler statement would read all its users for
// every page. The subquery makes the planner assume an instance of average size.
const FIND: &str = "SELECT known.* FROM UNNEST($2::text[]) AS asked (id) CROSS JOIN LATERAL \
    (SELECT * FROM user_account WHERE \"user_account\".\"instance_id\" = (SELECT $1::uuid) \
    AND external_id = asked.id OFFSET 0) AS known";

/// Inserts rows. A row that exists is replaced, except for the columns that stay (see [`stays`]).
pub(super) async fn write<C: ConnectionTrait>(conn: &C, rows: Vec<Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    if is_postgres(conn) {
        let rows = serde_json::to_string(&rows)?;
        conn.execute_raw(statement(&UPSERT, [rows.into()])).await?;
        return Ok(());
    }
    let updated = Column::iter().filter(|column| !stays(*column));
    Entity::insert_many(rows.into_iter().map(IntoActiveModel::<ActiveModel>::into_active_model))
        .on_conflict(OnConflict::columns([Column::InstanceId, Column::ExternalId]).update_columns(updated).to_owned())
        .exec_without_returning(conn)
        .await?;
    Ok(())
}

/// Whether a column keeps its first value for as long as the row exists.
fn stays(column: Column) -> bool {
    matches!(column, Column::Id | Column::InstanceId | Column::ExternalId | Column::FirstSeenAt)
}

/// The rows come as a JSON array, because the driver cannot bind an array that contains nulls.
static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let names = list(Column::iter(), quoted);
    let typed = list(Column::iter(), |column| format!("{} {}", quoted(column), postgres_type(column)));
    let updated = Column::iter().filter(|column| !stays(*column));
    let updates = list(updated, |column| format!("{name} = EXCLUDED.{name}", name = quoted(column)));
    format!(
        "INSERT INTO user_account ({names}) SELECT {names} FROM json_to_recordset($1::json) AS new ({typed}) \
         ON CONFLICT (instance_id, external_id) DO UPDATE SET {updates}"
    )
});

fn list(columns: impl Iterator<Item = Column>, text: impl Fn(Column) -> String) -> String {
    columns.map(text).collect::<Vec<_>>().join(", ")
}

fn quoted(column: Column) -> String {
    format!("\"{}\"", column.as_str())
}

fn postgres_type(column: Column) -> String {
    let mut name = String::new();
    PostgresQueryBuilder.prepare_column_type(column.def().get_column_type(), &mut name);
    name
}

/// Marks users as seen by this run, and changes nothing else.
pub(super) async fn touch<C: ConnectionTrait>(conn: &C, scope: &Scope, users: &[Uuid]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    if is_postgres(conn) {
        let sql = "UPDATE user_account SET generation = $1, last_seen_at = $2 WHERE id = ANY($3)";
        let values = [scope.number.into(), scope.now.into(), array(users.iter().copied())];
        conn.execute_raw(statement(sql, values)).await?;
        return Ok(());
    }
    Entity::update_many()
        .col_expr(Column::Generation, Expr::value(scope.number))
        .col_expr(Column::LastSeenAt, Expr::value(scope.now))
        .filter(Column::Id.is_in(users.iter().copied()))
        .exec(conn)
        .await?;
    Ok(())
}

/// Stores the changes that a run found.
pub(super) async fn record<C: ConnectionTrait>(conn: &C, at: i64, changes: &[Change]) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    if is_postgres(conn) {
        let sql = "INSERT INTO user_change (at, run_id, user_id, kind, fields, old_values) \
            SELECT $1, run_id, user_id, kind, fields, old_values \
            FROM UNNEST($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[]) \
            AS change(run_id, user_id, kind, fields, old_values)";
        let values = [
            at.into(),
            array(changes.iter().map(|change| change.run_id)),
            array(changes.iter().map(|change| change.user_id)),
            array(changes.iter().map(|change| change.kind.to_value())),
            array(changes.iter().map(|change| change.fields.clone())),
            array(changes.iter().map(|change| change.old_values.clone())),
        ];
        conn.execute_raw(statement(sql, values)).await?;
        return Ok(());
    }
    let rows = changes.iter().map(|change| user_change::ActiveModel {
        run_id: Set(change.run_id),
        user_id: Set(change.user_id),
        kind: Set(change.kind),
        fields: Set(change.fields.clone()),
        old_values: Set(change.old_values.clone()),
        at: Set(at),
        ..Default::default()
    });
    user_change::Entity::insert_many(rows).exec_without_returning(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Column, Iterable, ROWS, UPSERT, stays};

    #[test]
    fn the_largest_statement_fits_the_values_that_sqlite_binds() {
        assert!(ROWS * Column::iter().count() <= 32_766);
    }

    #[test]
    fn the_statement_for_postgresql_names_every_column_with_its_type() {
        for part in ["\"id\" uuid", "\"email\" varchar", "\"is_admin\" bool", "\"last_active_at\" bigint"] {
            assert!(UPSERT.contains(part), "{part}: {}", *UPSERT);
        }
        for column in Column::iter() {
            let updated = UPSERT.contains(&format!("{0} = EXCLUDED.{0}", super::quoted(column)));
            assert_eq!(updated, !stays(column), "{column:?}: {}", *UPSERT);
        }
    }
}
