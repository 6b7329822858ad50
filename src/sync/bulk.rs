//! Many users at once, in the way that each database does best: one bound value for all of
//! them on PostgreSQL, so that a statement's text and plan stay the same however many there
//! are; one per cell on SQLite, which has no arrays.

use entity::user::{ActiveModel, Column, Entity, Model};
use entity::user_change::{self, Kind};
use sea_orm::sea_query::{Expr, OnConflict, Value, ValueType};
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter,
    Statement,
};
use serde_json::json;
use uuid::Uuid;

use super::reconcile::Scope;
use crate::error::Result;

/// How many users one statement carries: far below SQLite's limit of 32,766 bound values.
pub(super) const ROWS: usize = 1_000;

/// What a run found out about a user.
pub(super) struct Difference {
    pub user_id: Uuid,
    pub kind: Kind,
    /// The API's names of the fields that differ, with commas between.
    pub fields: String,
}

fn is_postgres<C: ConnectionTrait>(conn: &C) -> bool {
    conn.get_database_backend() == DbBackend::Postgres
}

fn array<T: ValueType + Into<Value>>(values: impl IntoIterator<Item = T>) -> Value {
    Value::Array(T::array_type(), Some(Box::new(values.into_iter().map(Into::into).collect())))
}

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// The rows of those users of an instance that are known, left or not.
pub(super) async fn find<C: ConnectionTrait>(conn: &C, instance: Uuid, external_ids: &[&str]) -> Result<Vec<Model>> {
    if is_postgres(conn) {
        let ids = array(external_ids.iter().map(|id| (*id).to_owned()));
        return Ok(Entity::find().from_raw_sql(statement(FIND, [instance.into(), ids])).all(conn).await?);
    }
    let asked = Column::ExternalId.is_in(external_ids.iter().copied());
    Ok(Entity::find().filter(Column::InstanceId.eq(instance)).filter(asked).all(conn).await?)
}

// One look into the unique index for each id, whatever the table's statistics say: during a first
// sync they say that the instance has no users, and all of them would be read for every page. The
// instance comes from a subquery so that it is taken for one of average size.
const FIND: &str = r#"SELECT known.* FROM UNNEST($2::text[]) AS asked (id) CROSS JOIN LATERAL
    (SELECT * FROM user_account WHERE "user_account"."instance_id" = (SELECT $1::uuid) AND external_id = asked.id OFFSET 0) AS known"#;

/// Inserts the rows, or replaces all of those that are there but who they are and when they were first seen.
pub(super) async fn write<C: ConnectionTrait>(conn: &C, rows: Vec<Model>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    if is_postgres(conn) {
        conn.execute_raw(upsert(&rows)?).await?;
        return Ok(());
    }
    let replaced = [
        Column::Email,
        Column::EmailKey,
        Column::DisplayName,
        Column::NameKey,
        Column::Status,
        Column::IsAdmin,
        Column::MfaEnabled,
        Column::Licenses,
        Column::LastActiveAt,
        Column::LastSeenAt,
        Column::RemovedAt,
        Column::Generation,
    ];
    Entity::insert_many(rows.into_iter().map(IntoActiveModel::<ActiveModel>::into_active_model))
        .on_conflict(OnConflict::columns([Column::InstanceId, Column::ExternalId]).update_columns(replaced).to_owned())
        .exec_without_returning(conn)
        .await?;
    Ok(())
}

// As JSON, because the driver binds no array with nulls in it.
const UPSERT: &str = "INSERT INTO user_account (id, instance_id, external_id, email, email_key, display_name, name_key, \
    status, is_admin, mfa_enabled, licenses, last_active_at, first_seen_at, last_seen_at, removed_at, generation) \
    SELECT * FROM json_to_recordset($1::json) AS new (id uuid, instance_id uuid, external_id text, email text, \
    email_key text, display_name text, name_key text, status text, is_admin boolean, mfa_enabled boolean, licenses text, \
    last_active_at bigint, first_seen_at bigint, last_seen_at bigint, removed_at bigint, generation bigint) \
    ON CONFLICT (instance_id, external_id) DO UPDATE SET email = EXCLUDED.email, email_key = EXCLUDED.email_key, \
    display_name = EXCLUDED.display_name, name_key = EXCLUDED.name_key, status = EXCLUDED.status, \
    is_admin = EXCLUDED.is_admin, mfa_enabled = EXCLUDED.mfa_enabled, licenses = EXCLUDED.licenses, \
    last_active_at = EXCLUDED.last_active_at, last_seen_at = EXCLUDED.last_seen_at, \
    removed_at = EXCLUDED.removed_at, generation = EXCLUDED.generation";

fn upsert(rows: &[Model]) -> Result<Statement> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.id.hyphenated().to_string(),
                "instance_id": row.instance_id.hyphenated().to_string(),
                "external_id": row.external_id,
                "email": row.email,
                "email_key": row.email_key,
                "display_name": row.display_name,
                "name_key": row.name_key,
                "status": row.status.to_value(),
                "is_admin": row.is_admin,
                "mfa_enabled": row.mfa_enabled,
                "licenses": row.licenses,
                "last_active_at": row.last_active_at,
                "first_seen_at": row.first_seen_at,
                "last_seen_at": row.last_seen_at,
                "removed_at": row.removed_at,
                "generation": row.generation,
            })
        })
        .collect();
    Ok(statement(UPSERT, [serde_json::to_string(&rows)?.into()]))
}

/// Marks users as seen by this run, and nothing else.
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

/// Writes down what a run found out.
pub(super) async fn record<C: ConnectionTrait>(conn: &C, run: Uuid, found: &[Difference]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    if is_postgres(conn) {
        let sql = "INSERT INTO user_change (run_id, user_id, kind, fields) \
            SELECT $1, user_id, kind, fields FROM UNNEST($2::uuid[], $3::text[], $4::text[]) AS found(user_id, kind, fields)";
        let values = [
            run.into(),
            array(found.iter().map(|one| one.user_id)),
            array(found.iter().map(|one| one.kind.to_value())),
            array(found.iter().map(|one| one.fields.clone())),
        ];
        conn.execute_raw(statement(sql, values)).await?;
        return Ok(());
    }
    let rows = found.iter().map(|one| user_change::ActiveModel {
        run_id: Set(run),
        user_id: Set(one.user_id),
        kind: Set(one.kind),
        fields: Set(one.fields.clone()),
        ..Default::default()
    });
    user_change::Entity::insert_many(rows).exec_without_returning(conn).await?;
    Ok(())
}
