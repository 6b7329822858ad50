//! Every field of a user: exactly what the application changed is stored and recorded.
//!
//! The test keeps a model of the register in plain maps, which must stay equal to the database through many random
//! runs. The fields come from `with_user_fields`, the columns from the entity, and both must match. In the end, the
//! history must give the register as it was after each run.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use entity::{user, user_change};
use fastrand::Rng;
use integration::user::{AccountKind, FieldValue, SourceUser, Timestamp, UserField, UserStatus};
use muster::db::Db;
use muster::directory::{history, keys};
use muster::sync::reconcile::{self, Counts, Scope};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QueryOrder, Statement,
    Value,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::Place;

const USERS: usize = 40;
const RUNS: i64 = 12;

/// A row by the names of its columns.
type Row = BTreeMap<&'static str, serde_json::Value>;

trait Random {
    fn random(dice: &mut Rng) -> Self;
}

impl Random for String {
    fn random(dice: &mut Rng) -> Self {
        const PARTS: [&str; 12] = ["Ann", "b@c.example", " ", "İ", "ß", "\"", "\\", "\n", "'", "🙂", "null", "a,b"];
        (0..dice.usize(0..4)).map(|_| PARTS[dice.usize(..PARTS.len())]).collect()
    }
}

impl Random for bool {
    fn random(dice: &mut Rng) -> Self {
        dice.bool()
    }
}

impl Random for Vec<String> {
    fn random(dice: &mut Rng) -> Self {
        (0..dice.usize(0..3)).map(|_| String::random(dice)).collect()
    }
}

impl Random for Timestamp {
    fn random(dice: &mut Rng) -> Self {
        if dice.u8(..6) == 0 { Self::NEVER } else { Self(dice.i64(1..4_000_000_000_000)) }
    }
}

impl Random for UserStatus {
    fn random(dice: &mut Rng) -> Self {
        [Self::Active, Self::Suspended, Self::Invited, Self::Unknown][dice.usize(..4)]
    }
}

impl Random for AccountKind {
    fn random(dice: &mut Rng) -> Self {
        [Self::Human, Self::Service, Self::Shared][dice.usize(..3)]
    }
}

impl<T: Random> Random for Option<T> {
    fn random(dice: &mut Rng) -> Self {
        (dice.u8(..4) > 0).then(|| T::random(dice))
    }
}

macro_rules! random_users {
    ($( #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*) )*) => {
        fn random_user(external_id: String, dice: &mut Rng) -> SourceUser {
            let refused = UserField::ALL.iter().copied().filter(|_| dice.u8(..8) == 0).collect();
            SourceUser { external_id, $($name: Random::random(dice),)* refused }
        }

        /// Gives about a third of the fields another value, or none.
        fn change(user: &mut SourceUser, dice: &mut Rng) {
            $(if dice.u8(..3) == 0 {
                user.$name = Random::random(dice);
            })*
            user.refused = UserField::ALL.iter().copied().filter(|_| dice.u8(..8) == 0).collect();
        }
    };
}
integration::with_user_fields!(random_users);

/// The change that a run must record for a user.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    kind: user_change::Kind,
    fields: BTreeSet<String>,
}

/// The register as it must be, by external id.
#[derive(Default)]
struct Expected {
    rows: BTreeMap<String, Row>,
    /// Fields that have differed, fields that were cleared, and fields that kept a value because they were refused.
    changed: BTreeSet<UserField>,
    cleared: BTreeSet<UserField>,
    kept: BTreeSet<UserField>,
}

impl Expected {
    /// Stores a listed user.
    fn list(&mut self, user: &SourceUser, scope: &Scope) {
        let row = self.rows.entry(user.external_id.clone()).or_insert_with(|| {
            let default = |field: &UserField| if field.info().is_optional { json!(null) } else { json!("unknown") };
            let mut row: Row = UserField::ALL.iter().map(|field| (field.info().name, default(field))).collect();
            row.insert("external_id", json!(user.external_id));
            row.insert("instance_id", json!(scope.instance_id));
            row.insert("first_seen_at", json!(scope.now));
            row.insert("generation", json!(0));
            row
        });
        for (field, value) in user.values() {
            let stored = row.get_mut(field.info().name).expect("all fields are there");
            let value = value.map_or(json!(null), stored_value);
            let is_time = |value: &serde_json::Value| value.as_i64().is_some_and(|at| at > 0);
            if user.refused.contains(&field) {
                if value != *stored {
                    self.kept.insert(field);
                }
            } else if field == UserField::LastActiveAt && is_time(stored) && !is_time(&value) {
                // The time of an activity stays true.
            } else if value.is_null() && !stored.is_null() {
                *stored = value;
                self.cleared.insert(field);
            } else if value != *stored {
                *stored = value;
                self.changed.insert(field);
            }
        }
        let match_key = row["email"].as_str().and_then(keys::match_key);
        row.insert("match_key", json!(match_key));
        row.insert("key_version", json!(keys::VERSION));
        if row["generation"] != json!(scope.number) {
            row.insert("last_seen_at", json!(scope.now));
        }
        row.insert("removed_at", json!(null));
        row.insert("generation", json!(scope.number));
    }

    /// The changes that a run must record for the users that it has listed. `before` has the rows before the run.
    fn changes(&self, before: &BTreeMap<String, Row>, scope: &Scope) -> BTreeMap<String, Change> {
        let listed = self.rows.iter().filter(|(_, row)| row["generation"] == json!(scope.number));
        let changes = listed.filter_map(|(id, row)| {
            let Some(before) = before.get(id).filter(|row| row["removed_at"].is_null()) else {
                return Some((id.clone(), Change { kind: user_change::Kind::Added, fields: BTreeSet::new() }));
            };
            let recorded = UserField::ALL.iter().map(|field| field.info()).filter(|field| field.recorded);
            let differing = recorded.filter(|field| before[field.name] != row[field.name]);
            let fields: BTreeSet<_> = differing.map(|field| field.api_name.to_owned()).collect();
            let changed = !fields.is_empty() && !scope.new_baseline;
            changed.then(|| (id.clone(), Change { kind: user_change::Kind::Changed, fields }))
        });
        changes.collect()
    }

    /// Marks users that the run did not list as removed, and returns the changes that it must record.
    fn remove_unseen(&mut self, scope: &Scope) -> BTreeMap<String, Change> {
        let mut removed = BTreeMap::new();
        for (id, row) in &mut self.rows {
            if row["removed_at"].is_null() && row["generation"] != json!(scope.number) {
                row.insert("removed_at", json!(scope.now));
                removed.insert(id.clone(), Change { kind: user_change::Kind::Removed, fields: BTreeSet::new() });
            }
        }
        removed
    }
}

/// A value as its column has it.
fn stored_value(value: FieldValue<'_>) -> serde_json::Value {
    match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Flag(flag) => json!(flag),
        FieldValue::Texts(list) => json!(json!(list).to_string()),
        FieldValue::Time(Timestamp(time)) => json!(time),
        FieldValue::Word(word) => json!(word),
    }
}

/// The stored rows by external id, and their ids.
async fn stored(db: &Db) -> (BTreeMap<String, Row>, BTreeMap<Uuid, String>) {
    let models = user::Entity::find().all(db.read()).await.unwrap();
    let ids = models.iter().map(|model| (model.id, model.external_id.clone())).collect();
    let rows = models.iter().map(|model| (model.external_id.clone(), row_of(model)));
    (rows.collect(), ids)
}

fn row_of(model: &user::Model) -> Row {
    let columns = user::Column::iter().filter(|column| !matches!(column, user::Column::Id));
    columns.map(|column| (column.as_str(), as_json(model.get(column)))).collect()
}

/// What the history knows of a row.
fn remembered(row: &Row) -> Row {
    let recorded = UserField::ALL.iter().map(|field| field.info()).filter(|field| field.recorded);
    let columns: BTreeSet<_> =
        recorded.map(|field| field.name).chain(["external_id", "first_seen_at", "removed_at"]).collect();
    row.iter().filter(|(column, _)| columns.contains(*column)).map(|(column, value)| (*column, value.clone())).collect()
}

/// The rows as of a time: the rows as they are now, without the later changes.
async fn as_of(db: &Db, at: i64) -> BTreeMap<String, Row> {
    let later = user_change::Entity::find().filter(user_change::Column::At.gt(at));
    let mut later_by_user: HashMap<Uuid, Vec<user_change::Model>> = HashMap::new();
    for change in later.order_by_desc(user_change::Column::Id).all(db.read()).await.unwrap() {
        later_by_user.entry(change.user_id).or_default().push(change);
    }
    let models = user::Entity::find().all(db.read()).await.unwrap();
    let earlier = models.into_iter().filter_map(|model| {
        let later = later_by_user.remove(&model.id).unwrap_or_default();
        history::before(model, &later).unwrap()
    });
    earlier.map(|model| (model.external_id.clone(), remembered(&row_of(&model)))).collect()
}

fn as_json(value: Value) -> serde_json::Value {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::BigInt(number) => json!(number),
        Value::String(text) => json!(text),
        Value::Uuid(id) => json!(id),
        other => panic!("a type that this test does not know: {other:?}"),
    }
}

async fn recorded(db: &Db, run: Uuid, ids: &BTreeMap<Uuid, String>) -> BTreeMap<String, Change> {
    let of_run = user_change::Entity::find().filter(user_change::Column::RunId.eq(run));
    let changes = of_run.all(db.read()).await.unwrap();
    let count = changes.len();
    let change = |change: user_change::Model| {
        let fields = change.fields.split(',').filter(|field| !field.is_empty()).map(str::to_owned).collect();
        (ids[&change.user_id].clone(), Change { kind: change.kind, fields })
    };
    let changes: BTreeMap<_, _> = changes.into_iter().map(change).collect();
    assert_eq!(changes.len(), count, "a user has two changes in one run");
    changes
}

fn int(count: usize) -> i64 {
    count.try_into().unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn what_changed_is_what_is_stored_and_recorded() {
    let place = Place::new();
    let db = place.open().await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut dice = Rng::with_seed(seed);
    let mut users: Vec<_> = (0..USERS).map(|id| random_user(id.to_string(), &mut dice)).collect();
    let mut expected = Expected::default();
    // The rows after each run, with a time after it.
    let mut after_runs = Vec::new();
    let instance_id = Uuid::now_v7();
    for number in 1..=RUNS {
        let new_baseline = number % 5 == 0;
        let scope = Scope { instance_id, run_id: Uuid::now_v7(), number, now: number * 1_000, new_baseline };
        let before = expected.rows.clone();
        // Some have left; of those that are listed, about half are as they were. Some are listed again, on the same
        // page or on the next one, and some of those in another way, or again as they were at first.
        let listed: Vec<_> = users.iter().filter(|_| dice.u8(..8) > 0).cloned().collect();
        let mut pages = [listed.clone(), Vec::new(), Vec::new()];
        let mut repeated = 0;
        for user in &listed {
            for page in &mut pages {
                let mut again = user.clone();
                match dice.u8(..12) {
                    0 => change(&mut again, &mut dice),
                    1 => {}
                    _ => continue,
                }
                page.push(again);
                repeated += 1;
            }
        }
        let mut counts = Counts::default();
        for (page, now) in pages.iter().zip(scope.now..) {
            let scope = &Scope { now, ..scope };
            let more = db.write(|tx| async move { reconcile::store(tx.conn(), scope, page).await }).await.unwrap();
            counts.seen += more.seen;
            counts.added += more.added;
            counts.changed += more.changed;
            counts.repeated += more.repeated;
            for user in page {
                expected.list(user, scope);
            }
        }
        let scope = &scope;
        // Some runs fail, and remove nobody.
        let is_complete = dice.u8(..4) > 0;
        let leaving = if is_complete {
            db.write(|tx| async move { reconcile::remove_unseen(tx.conn(), scope, None).await }).await.unwrap()
        } else {
            0
        };

        let mut changes = expected.changes(&before, scope);
        let of_kind = |kind| int(changes.values().filter(|change| change.kind == kind).count());
        let (added, changed) = (of_kind(user_change::Kind::Added), of_kind(user_change::Kind::Changed));
        let removed = if is_complete { expected.remove_unseen(scope) } else { BTreeMap::new() };
        assert_eq!(counts, Counts { seen: int(listed.len()), added, changed, repeated });
        assert_eq!(leaving, int(removed.len()));
        changes.extend(removed);

        let (rows, ids) = stored(&db).await;
        for (id, row) in &expected.rows {
            assert_eq!(&rows[id], row, "user {id} after run {number}");
        }
        assert_eq!(rows.len(), expected.rows.len());
        assert_eq!(recorded(&db, scope.run_id, &ids).await, changes, "run {number}");
        let known = rows.iter().map(|(id, row)| (id.clone(), remembered(row)));
        after_runs.push((scope.now + 500, known.collect::<BTreeMap<_, _>>()));
        for user in &mut users {
            if dice.bool() {
                change(user, &mut dice);
            }
        }
    }
    for (at, known) in after_runs {
        assert_eq!(as_of(&db, at).await, known, "as of {at}");
    }
    let all: BTreeSet<_> = UserField::ALL.iter().copied().collect();
    assert_eq!(expected.changed, all, "fields that never differed");
    assert_eq!(expected.kept, all, "fields that never kept a value");
    let optional: BTreeSet<_> = all.into_iter().filter(|field| field.info().is_optional).collect();
    let mut cleared = expected.cleared;
    // Of the last activity, only “never” is ever cleared, which few runs do.
    cleared.insert(UserField::LastActiveAt);
    assert_eq!(cleared, optional, "fields that were never cleared");
}

/// The columns that no application provides.
const OWN: [&str; 9] = [
    "id",
    "instance_id",
    "external_id",
    "match_key",
    "key_version",
    "first_seen_at",
    "last_seen_at",
    "removed_at",
    "generation",
];

#[tokio::test]
async fn the_database_the_entity_and_the_table_of_fields_have_the_same_columns() {
    let place = Place::new();
    let db = place.open().await;
    let scope = Scope { instance_id: Uuid::now_v7(), run_id: Uuid::now_v7(), number: 1, now: 1, new_baseline: false };
    let user = [random_user("1".to_owned(), &mut Rng::new())];
    let (user, scope) = (&user, &scope);
    db.write(|tx| async move { reconcile::store(tx.conn(), scope, user).await }).await.unwrap();
    let sql = Statement::from_string(db.backend(), "SELECT * FROM user_account");
    let row = db.read().query_one_raw(sql).await.unwrap().unwrap();
    let in_database: BTreeSet<_> = row.column_names().into_iter().collect();
    let in_entity: BTreeSet<_> = user::Column::iter().map(|column| column.as_str().to_owned()).collect();
    assert_eq!(in_database, in_entity);
    let fields = UserField::ALL.iter().map(|field| field.info().name);
    let in_table: BTreeSet<_> = fields.chain(OWN).map(str::to_owned).collect();
    assert_eq!(in_entity, in_table);
}
