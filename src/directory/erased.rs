//! Accounts whose person was erased: how they are recognised, without anything that says who they are.
//!
//! Such an account keeps its row, with a *stand-in* in place of the application's id: a keyed hash of the instance and that
//! id. What the application says of it is blanked before it is stored. The key is random, and sealed with the key of the
//! installation.

use std::collections::{BTreeMap, HashSet};

use entity::erased_account::{Column, Entity};
use entity::instance::{self, Status};
use entity::{erased_name, erasure_key, installation as installation_row, user};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::keys::{self, match_key};
use crate::clock::DAY_MS;
use crate::db::{Tx, keyset};
use crate::error::{Error, Result};
use crate::installation;
use crate::secrets::{Fields, HashKey, KeyRing, Place};

/// What every stand-in begins with.
const PREFIX: &str = "erased-";
/// How many digits of a hash follow.
const DIGITS: usize = 64;
/// For how long an erased account is recognised after its application has listed it last.
pub const REMEMBERED_MS: i64 = 365 * DAY_MS;
/// The columns that could tell whose an account is.
pub const PERSONAL: [&str; 7] =
    ["email", "display_name", "aliases", "source_id", "employee_id", "department", "manager"];

/// Where the key is sealed.
pub const KEY_PLACE: Place<'static> =
    Place { table: "erasure_key", column: "sealed", row: &[], generation: 0, destination: [0; 32] };

/// Whether this is the id of an erased account, and none that an application has given.
pub fn is_stand_in(external_id: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    external_id.strip_prefix(PREFIX).is_some_and(|hash| hash.len() == DIGITS && hash.bytes().all(is_digit))
}

/// What an account has in place of the application's id.
pub fn stand_in(key: &HashKey, instance: Uuid, external_id: &str) -> String {
    if is_stand_in(external_id) {
        return external_id.to_owned();
    }
    let fields = Fields::default().text("account").bytes(instance.as_bytes()).text(external_id);
    format!("{PREFIX}{}", key.hash(&fields))
}

/// The hash of an address by which other accounts may name the person. `None` if the text is no address.
pub fn name(key: &HashKey, text: &str) -> Option<String> {
    Some(key.hash(&Fields::default().text("name").text(&match_key(text)?)))
}

/// The hash of the id of a person.
pub fn person(key: &HashKey, id: Uuid) -> String {
    key.hash(&Fields::default().text("person").bytes(id.as_bytes()))
}

/// Clears what could tell whose an account is.
pub fn blank(row: &mut user::Model, stand_in: String) {
    row.external_id = stand_in;
    for column in [
        &mut row.email,
        &mut row.display_name,
        &mut row.aliases,
        &mut row.source_id,
        &mut row.employee_id,
        &mut row.department,
        &mut row.manager,
    ] {
        *column = None;
    }
    keys::fill(row);
}

/// The old values of a change without what could tell whose the account is. `None` if there is no such thing.
pub fn without_personal(old_values: &str) -> Result<Option<String>> {
    without(old_values, |column, _| PERSONAL.contains(&column))
}

/// The old values of a change without those that are named. `None` if none is.
pub fn without(old_values: &str, is_named: impl Fn(&str, &Value) -> bool) -> Result<Option<String>> {
    if old_values.is_empty() {
        return Ok(None);
    }
    let mut values: Map<String, Value> = serde_json::from_str(old_values)?;
    let before = values.len();
    values.retain(|column, value| !is_named(column, value));
    Ok((values.len() < before).then(|| Value::from(values).to_string()))
}

/// Whether an instance has an erased account, or an address of one.
pub async fn any<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<bool> {
    let own = Entity::find().select_only().column(Column::InstanceId).filter(Column::InstanceId.eq(instance));
    if own.limit(1).into_tuple::<Uuid>().one(conn).await?.is_some() {
        return Ok(true);
    }
    let name = erased_name::Column::InstanceId;
    let own = erased_name::Entity::find().select_only().column(name).filter(name.eq(instance));
    Ok(own.limit(1).into_tuple::<Uuid>().one(conn).await?.is_some())
}

/// Those of these stand-ins whose accounts were erased.
pub async fn known<C: ConnectionTrait>(conn: &C, instance: Uuid, stand_ins: &[String]) -> Result<HashSet<String>> {
    let own = keyset::among_texts((Entity, Column::StandIn), stand_ins, conn.get_database_backend());
    let found = Entity::find().select_only().column(Column::StandIn).filter(Column::InstanceId.eq(instance));
    Ok(found.filter(own).into_tuple::<String>().all(conn).await?.into_iter().collect())
}

/// Those of these hashes that are of addresses of people who were erased and had an account in the instance.
pub async fn known_names<C: ConnectionTrait>(conn: &C, instance: Uuid, names: &[String]) -> Result<HashSet<String>> {
    use erased_name::{Column, Entity};
    let own = keyset::among_texts((Entity, Column::Name), names, conn.get_database_backend());
    let found = Entity::find().select_only().column(Column::Name).filter(Column::InstanceId.eq(instance));
    Ok(found.filter(own).into_tuple::<String>().all(conn).await?.into_iter().collect())
}

/// Notes that accounts name these addresses.
pub async fn note_named<C: ConnectionTrait>(conn: &C, instance: Uuid, names: &[String], now: i64) -> Result<()> {
    use erased_name::{Column, Entity};
    let own = keyset::among_texts((Entity, Column::Name), names, conn.get_database_backend());
    let named = Entity::update_many().col_expr(Column::ListedAt, Expr::value(now));
    named.filter(Column::InstanceId.eq(instance)).filter(own).exec(conn).await?;
    Ok(())
}

/// Forgets these addresses, because accounts of others have them now: whoever names them means the others.
pub async fn pass_on<C: ConnectionTrait>(conn: &C, instance: Uuid, names: &[String]) -> Result<()> {
    use erased_name::{Column, Entity};
    let own = keyset::among_texts((Entity, Column::Name), names, conn.get_database_backend());
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).filter(own).exec(conn).await?;
    Ok(())
}

/// Notes that the application lists these accounts.
pub async fn note_listed<C: ConnectionTrait>(conn: &C, instance: Uuid, stand_ins: &[String], now: i64) -> Result<()> {
    let own = keyset::among_texts((Entity, Column::StandIn), stand_ins, conn.get_database_backend());
    Entity::update_many()
        .col_expr(Column::ListedAt, Expr::value(now))
        .filter(Column::InstanceId.eq(instance))
        .filter(own)
        .exec(conn)
        .await?;
    Ok(())
}

/// The key, if anybody was erased.
///
/// # Errors
/// Also if it does not open.
pub async fn key<C: ConnectionTrait>(conn: &C, ring: &KeyRing) -> Result<Option<HashKey>> {
    let Some(row) = erasure_key::Entity::find_by_id(erasure_key::ROW).one(conn).await? else { return Ok(None) };
    let opened = ring.open(&KEY_PLACE, &row.sealed);
    let bytes = opened.map_err(|error| Error::internal("the key of erased accounts does not open", error))?;
    let key = HashKey::from_bytes(&bytes);
    key.map(Some).ok_or_else(|| Error::Internal("the key of erased accounts is none".into()))
}

/// The key, where there must be one.
pub async fn needed_key<C: ConnectionTrait>(conn: &C, ring: &KeyRing) -> Result<HashKey> {
    key(conn, ring).await?.ok_or_else(|| Error::Internal("the key of erased accounts is gone".into()))
}

/// Stores the key of a database in which nobody was erased yet. From now on, releases that would store erased people again
/// do not work with it.
pub async fn store_key(tx: &Tx, key: &HashKey) -> Result<()> {
    use installation_row::{Column, Entity};
    let needs = i32::try_from(migration::that_know_erasures()).unwrap_or(i32::MAX);
    let raise = Entity::update_many().col_expr(Column::Needs, Expr::value(needs)).filter(Column::Needs.lt(needs));
    raise.exec(tx.conn()).await?;
    let sealing = installation::sealing_key(tx, tx.keys()?).await?;
    let sealed = sealing.seal(&KEY_PLACE, key.bytes());
    let row = erasure_key::ActiveModel { id: Set(erasure_key::ROW), sealed: Set(sealed) };
    let known = OnConflict::column(erasure_key::Column::Id).update_column(erasure_key::Column::Sealed).to_owned();
    erasure_key::Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Forgets up to `limit` erased accounts of each instance that its application has not listed for [`REMEMBERED_MS`], as a
/// successful sync has shown, and those of instances that are gone; and addresses that it has not named for as long. Returns
/// how many there were.
pub async fn prune(tx: &Tx, limit: u64) -> Result<u64> {
    let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
    let accounts = Entity::find().select_only().column(Column::InstanceId).distinct();
    let names = erased_name::Entity::find().select_only().column(erased_name::Column::InstanceId).distinct();
    let mut instances: Vec<Uuid> = accounts.into_tuple().all(conn).await?;
    instances.extend(names.into_tuple::<Uuid>().all(conn).await?);
    instances.sort_unstable();
    instances.dedup();
    if instances.is_empty() {
        return Ok(0);
    }
    let own = keyset::among((instance::Entity, instance::Column::Id), &instances, backend);
    let read: Vec<(Uuid, i64)> = instance::Entity::find()
        .select_only()
        .columns([instance::Column::Id, instance::Column::LastSuccessAt])
        .filter(own)
        .filter(instance::Column::Status.is_in(Status::KEPT))
        .into_tuple()
        .all(conn)
        .await?;
    let read: BTreeMap<Uuid, i64> = read.into_iter().collect();
    let mut forgotten = 0;
    for instance in instances {
        let before = read.get(&instance).map_or(i64::MAX, |at| at.saturating_sub(REMEMBERED_MS));
        forgotten += prune_of(tx, instance, before, limit).await?;
        forgotten += prune_names(tx, instance, before, limit).await?;
    }
    Ok(forgotten)
}

/// Forgets addresses that accounts of an instance named last before this time.
async fn prune_names(tx: &Tx, instance: Uuid, before: i64, limit: u64) -> Result<u64> {
    use erased_name::{Column, Entity};
    let (conn, own) = (tx.conn(), Column::InstanceId.eq(instance));
    let past = Entity::find().select_only().column(Column::Name).filter(own.clone());
    let past: Vec<String> = past.filter(Column::ListedAt.lt(before)).limit(limit).into_tuple().all(conn).await?;
    if past.is_empty() {
        return Ok(0);
    }
    let past = keyset::among_texts((Entity, Column::Name), &past, conn.get_database_backend());
    Ok(Entity::delete_many().filter(own).filter(past).exec(conn).await?.rows_affected)
}

/// Forgets accounts of an instance that were listed last before this time, and are removed.
async fn prune_of(tx: &Tx, instance: Uuid, before: i64, limit: u64) -> Result<u64> {
    let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
    let past = Entity::find().select_only().column(Column::StandIn).filter(Column::InstanceId.eq(instance));
    let past = past.filter(Column::ListedAt.lt(before)).limit(limit);
    let mut past: Vec<String> = past.into_tuple().all(conn).await?;
    let own = keyset::among_texts((user::Entity, user::Column::ExternalId), &past, backend);
    let listed = user::Entity::find().select_only().column(user::Column::ExternalId);
    let listed = listed.filter(user::Column::InstanceId.eq(instance)).filter(own);
    let listed = listed.filter(user::Column::RemovedAt.is_null()).into_tuple::<String>().all(conn).await?;
    past.retain(|stand_in| !listed.contains(stand_in));
    if past.is_empty() {
        return Ok(0);
    }
    let own = keyset::among_texts((Entity, Column::StandIn), &past, backend);
    let gone = Entity::delete_many().filter(Column::InstanceId.eq(instance)).filter(own);
    Ok(gone.exec(conn).await?.rows_affected)
}

#[cfg(test)]
mod tests {
    use entity::user::{Model, UserStatus};
    use serde_json::json;

    use super::*;

    fn row() -> Model {
        let text = |value: &str| Some(value.to_owned());
        Model {
            id: Uuid::nil(),
            instance_id: Uuid::nil(),
            external_id: "7".into(),
            email: text("ann@acme.example"),
            display_name: text("Ann"),
            match_key: text("ann@acme.example"),
            key_version: keys::VERSION,
            status: UserStatus::Active,
            is_admin: Some(true),
            mfa_enabled: Some(true),
            licenses: text("[]"),
            last_active_at: Some(1),
            kind: None,
            guest: Some(false),
            created_at: Some(1),
            aliases: text("[]"),
            source_id: text("s"),
            employee_id: text("7"),
            department: text("Sales"),
            manager: text("8"),
            first_seen_at: 1,
            last_seen_at: 1,
            removed_at: None,
            generation: 1,
        }
    }

    #[test]
    fn exactly_the_personal_columns_are_blanked() {
        let (before, mut after) = (row(), row());
        blank(&mut after, "erased-x".into());
        let (before, after) = (json!(before), json!(after));
        let changed = before.as_object().unwrap().iter().filter(|(column, value)| after[column.as_str()] != **value);
        let mut changed: Vec<&str> = changed.map(|(column, _)| column.as_str()).collect();
        changed.retain(|column| !["external_id", "match_key"].contains(column));
        let mut personal = PERSONAL.to_vec();
        changed.sort_unstable();
        personal.sort_unstable();
        assert_eq!(changed, personal);
    }

    #[test]
    fn a_stand_in_is_that_of_one_account_and_stands_for_itself() {
        let key = HashKey::generate();
        let [one, other] = [Uuid::now_v7(), Uuid::now_v7()];
        let known = stand_in(&key, one, "7");
        assert!(is_stand_in(&known));
        assert_eq!(stand_in(&key, one, &known), known);
        for different in [stand_in(&key, other, "7"), stand_in(&key, one, "8")] {
            assert_ne!(different, known);
        }
        for id in ["", "7", "erased-", "erased-7", &known[1..], &known.to_uppercase()] {
            assert!(!is_stand_in(id), "{id}");
        }
        assert_eq!(name(&key, "Ann@Acme.example"), name(&key, "ann@acme.example"));
        assert_eq!(name(&key, "7"), None);
    }

    #[test]
    fn old_values_lose_what_is_personal_and_nothing_else() {
        let old = json!({ "email": "ann@acme.example", "is_admin": true, "removed_at": null }).to_string();
        let kept = without_personal(&old).unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), json!({ "is_admin": true, "removed_at": null }));
        for unchanged in ["", r#"{"removed_at":null}"#] {
            assert_eq!(without_personal(unchanged).unwrap(), None);
        }
        assert_eq!(without_personal(r#"{"email":null}"#).unwrap().as_deref(), Some("{}"));
    }
}
