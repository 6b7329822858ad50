//! From a page of a listing to rows: who is new, who changed, who was only seen again.

use std::collections::{HashMap, HashSet};

use entity::user::{Column, Entity, Model, UserStatus};
use entity::user_change::{self, Kind};
use integration::source::{self, SourceUser};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::bulk::{self, Difference};
use crate::error::Result;

/// Whose users, and the run that sees them.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub instance_id: Uuid,
    pub run_id: Uuid,
    /// The run's number.
    pub number: i64,
    pub now: i64,
}

/// What a page came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users that this run had not seen before.
    pub seen: i64,
    pub added: i64,
    pub changed: i64,
    /// Users that this run had seen already; they are counted once and stored as first seen.
    pub repeated: i64,
}

/// Stores a page.
pub async fn store<C: ConnectionTrait>(conn: &C, scope: &Scope, users: &[SourceUser]) -> Result<Counts> {
    let mut met = HashSet::with_capacity(users.len());
    let once: Vec<_> = users.iter().filter(|user| met.insert(user.external_id.as_str())).collect();
    let repeated = i64::try_from(users.len() - once.len()).unwrap_or(i64::MAX);
    let mut counts = Counts { repeated, ..Counts::default() };
    for chunk in once.chunks(bulk::ROWS) {
        store_chunk(conn, scope, chunk, &mut counts).await?;
    }
    Ok(counts)
}

async fn store_chunk<C: ConnectionTrait>(
    conn: &C,
    scope: &Scope,
    users: &[&SourceUser],
    counts: &mut Counts,
) -> Result<()> {
    let ids: Vec<&str> = users.iter().map(|user| user.external_id.as_str()).collect();
    let known = bulk::find(conn, scope.instance_id, &ids).await?;
    let mut known: HashMap<String, Model> = known.into_iter().map(|user| (user.external_id.clone(), user)).collect();
    let mut written = Vec::new();
    let mut touched = Vec::new();
    let mut changes = Vec::new();
    for user in users {
        counts.seen += 1;
        match known.remove(&user.external_id) {
            Some(row) if row.generation == scope.number => {
                counts.seen -= 1;
                counts.repeated += 1;
            }
            Some(row) => {
                let id = row.id;
                match compare(&row, user, scope) {
                    Verdict::Same => touched.push(id),
                    Verdict::Quiet(row) => written.push(*row),
                    Verdict::Changed(row, fields) => {
                        written.push(*row);
                        counts.changed += 1;
                        changes.push(Difference { user_id: id, kind: Kind::Changed, fields: fields.join(",") });
                    }
                    Verdict::Added(row) => {
                        written.push(*row);
                        counts.added += 1;
                        changes.push(Difference { user_id: id, kind: Kind::Added, fields: String::new() });
                    }
                }
            }
            None => {
                let row = new(user, scope);
                counts.added += 1;
                changes.push(Difference { user_id: row.id, kind: Kind::Added, fields: String::new() });
                written.push(row);
            }
        }
    }
    bulk::write(conn, written).await?;
    bulk::touch(conn, scope, &touched).await?;
    bulk::record(conn, scope.run_id, &changes).await
}

/// What a user that was known already comes to.
enum Verdict {
    /// Nothing differs.
    Same,
    /// Only what moves by itself differs: when the user was last active.
    Quiet(Box<Model>),
    /// With the API names of the fields that differ.
    Changed(Box<Model>, Vec<&'static str>),
    /// The user had left, and is back.
    Added(Box<Model>),
}

/// What the application does not say stays as it was.
fn compare(old: &Model, user: &SourceUser, scope: &Scope) -> Verdict {
    let SourceUser { external_id: _, email, display_name, status, is_admin, mfa_enabled, licenses, last_active_at } =
        user;
    let mut row = old.clone();
    if email.is_some() {
        row.email_key = email.as_deref().map(str::to_lowercase);
        row.email.clone_from(email);
    }
    if display_name.is_some() {
        row.name_key = display_name.as_deref().map(str::to_lowercase);
        row.display_name.clone_from(display_name);
    }
    row.status = user_status(*status);
    row.is_admin = is_admin.or(row.is_admin);
    row.mfa_enabled = mfa_enabled.or(row.mfa_enabled);
    row.licenses = licenses.as_deref().map(list_text).or(row.licenses);
    row.last_active_at = last_active_at.or(row.last_active_at);
    let fields: Vec<&'static str> = [
        ("email", row.email != old.email),
        ("displayName", row.display_name != old.display_name),
        ("status", row.status != old.status),
        ("isAdmin", row.is_admin != old.is_admin),
        ("mfaEnabled", row.mfa_enabled != old.mfa_enabled),
        ("licenses", row.licenses != old.licenses),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect();
    let active = row.last_active_at != old.last_active_at;
    let back = old.removed_at.is_some();
    row.removed_at = None;
    row.generation = scope.number;
    row.last_seen_at = scope.now;
    match (back, fields.is_empty(), active) {
        (true, ..) => Verdict::Added(Box::new(row)),
        (false, false, _) => Verdict::Changed(Box::new(row), fields),
        (false, true, true) => Verdict::Quiet(Box::new(row)),
        (false, true, false) => Verdict::Same,
    }
}

fn user_status(status: source::UserStatus) -> UserStatus {
    match status {
        source::UserStatus::Active => UserStatus::Active,
        source::UserStatus::Suspended => UserStatus::Suspended,
        source::UserStatus::Invited => UserStatus::Invited,
        source::UserStatus::Unknown => UserStatus::Unknown,
    }
}

fn new(user: &SourceUser, scope: &Scope) -> Model {
    let SourceUser { external_id, email, display_name, status, is_admin, mfa_enabled, licenses, last_active_at } =
        user.clone();
    Model {
        id: Uuid::now_v7(),
        instance_id: scope.instance_id,
        external_id,
        email_key: email.as_deref().map(str::to_lowercase),
        email,
        name_key: display_name.as_deref().map(str::to_lowercase),
        display_name,
        status: user_status(status),
        is_admin,
        mfa_enabled,
        licenses: licenses.as_deref().map(list_text),
        last_active_at,
        first_seen_at: scope.now,
        last_seen_at: scope.now,
        removed_at: None,
        generation: scope.number,
    }
}

fn list_text(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// How many users a complete listing left behind.
pub async fn count_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<i64> {
    use sea_orm::PaginatorTrait;
    let unseen = Entity::find()
        .filter(Column::InstanceId.eq(scope.instance_id))
        .filter(Column::RemovedAt.is_null())
        .filter(Column::Generation.lt(scope.number))
        .count(conn)
        .await?;
    Ok(i64::try_from(unseen).unwrap_or(i64::MAX))
}

/// Marks the users that a complete listing left behind as removed; answers how many.
pub async fn remove_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<i64> {
    let unseen = sea_orm::Condition::all()
        .add(Column::InstanceId.eq(scope.instance_id))
        .add(Column::RemovedAt.is_null())
        .add(Column::Generation.lt(scope.number));
    let mut leavers = Query::select();
    leavers
        .expr(Expr::value(scope.run_id))
        .column(Column::Id)
        .expr(Expr::value(Kind::Removed))
        .expr(Expr::value(""))
        .from(Entity)
        .cond_where(unseen.clone());
    let mut insert = Query::insert();
    insert.into_table(user_change::Entity).columns([
        user_change::Column::RunId,
        user_change::Column::UserId,
        user_change::Column::Kind,
        user_change::Column::Fields,
    ]);
    insert.select_from(leavers).map_err(|error| crate::error::Error::internal("the removal", error))?;
    conn.execute(&insert).await?;
    let removed =
        Entity::update_many().col_expr(Column::RemovedAt, Expr::value(scope.now)).filter(unseen).exec(conn).await?;
    Ok(i64::try_from(removed.rows_affected).unwrap_or(i64::MAX))
}
