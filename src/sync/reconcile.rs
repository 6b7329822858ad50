//! Stores a page of a listing: which users are new, which changed, which were only seen again.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use entity::run;
use entity::user::{Column, Entity, Model, UserStatus};
use entity::user_change::{self, Kind};
use integration::user::SourceUser;
use sea_orm::sea_query::{Expr, ExprTrait, LockType, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::bulk::{self, Change};
use super::row::{self, OldValues};
use crate::directory::delete;
use crate::directory::index::{self, SOURCE, Source};
use crate::directory::words::Words;
use crate::error::Result;

/// The instance whose users are stored, and the run that lists them.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub instance_id: Uuid,
    pub run_id: Uuid,
    /// The run's number.
    pub number: i64,
    pub now: i64,
    /// The manifest has changed, so a different value of a field may come from the manifest. Changed fields are history,
    /// and no changes that the run shows.
    pub new_baseline: bool,
}

impl Scope {
    pub fn of(run: &run::Model, now: i64) -> Self {
        Scope { instance_id: run.instance_id, run_id: run.id, number: run.number, now, new_baseline: run.new_baseline }
    }
}

/// What a page changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users that this run had not seen before.
    pub seen: i64,
    pub added: i64,
    pub changed: i64,
    /// Users that this run had seen before. They are counted once, and stored as seen last.
    pub repeated: i64,
}

/// Stores a page. If a run lists a user several times, the last entry counts.
pub async fn store<C: ConnectionTrait>(conn: &C, scope: &Scope, users: &[SourceUser]) -> Result<Counts> {
    let mut counts = Counts::default();
    for chunk in users.chunks(bulk::ROWS) {
        store_chunk(conn, scope, chunk, &mut counts).await?;
    }
    Ok(counts)
}

/// A user of a page with its row, and what the run has found so far.
struct Listed {
    row: Model,
    is: Known,
    /// The previous values of the fields that differ now.
    old_values: OldValues,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It has no row, or was removed.
    Added,
    /// Earlier runs have seen it.
    Before,
    /// An earlier page of this run had it.
    InThisRun,
}

impl Scope {
    /// The change of a user that is new or is listed again.
    fn added(&self, row: &Model, old_values: &OldValues) -> Change {
        let is_return = old_values.removed_at.is_some();
        Change {
            run_id: self.run_id,
            user_id: row.id,
            kind: Kind::Added,
            fields: String::new(),
            old_values: if is_return { old_values.to_json() } else { String::new() },
        }
    }

    /// The change of fields of a user.
    fn changed(&self, row: &Model, old_values: &OldValues) -> Change {
        let (run_id, fields) =
            if self.new_baseline { (Uuid::nil(), String::new()) } else { (self.run_id, old_values.recorded()) };
        Change { run_id, user_id: row.id, kind: Kind::Changed, fields, old_values: old_values.to_json() }
    }
}

impl Listed {
    fn new(row: Option<Model>, user: &SourceUser, scope: &Scope) -> Self {
        let (row, is) = match row {
            None => (row::new(user, scope), Known::Added),
            Some(row) if row.generation == scope.number => (row, Known::InThisRun),
            Some(row) if row.removed_at.is_some() => (row, Known::Added),
            Some(row) => (row, Known::Before),
        };
        let mut listed = Listed { old_values: OldValues::before(&row), row, is };
        listed.update(user);
        listed
    }

    fn update(&mut self, user: &SourceUser) {
        row::update(&mut self.row, user, &mut self.old_values);
    }
}

async fn store_chunk<C: ConnectionTrait>(
    conn: &C,
    scope: &Scope,
    users: &[SourceUser],
    counts: &mut Counts,
) -> Result<()> {
    let (mut written, mut touched, mut changes, mut changed_again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut renamed, mut old_words) = (Vec::new(), Vec::new());
    for Listed { mut row, is, mut old_values } in find(conn, scope, users, counts).await? {
        old_values.drop_unchanged(&row);
        if is == Known::InThisRun {
            counts.repeated += 1;
        } else {
            counts.seen += 1;
        }
        let before = old_values.words(&row);
        match is {
            Known::Added => {
                counts.added += 1;
                changes.push(scope.added(&row, &old_values));
            }
            Known::InThisRun if old_values.is_empty() => continue,
            Known::Before if old_values.is_empty() => {
                touched.push(row.id);
                continue;
            }
            _ if !old_values.has_recorded() => {}
            Known::InThisRun | Known::Before if scope.new_baseline => {
                changes.push(scope.changed(&row, &old_values));
            }
            Known::InThisRun => changed_again.push((row.clone(), old_values)),
            Known::Before => {
                counts.changed += 1;
                changes.push(scope.changed(&row, &old_values));
            }
        }
        if is == Known::Added || before.is_some() {
            renamed.push(row.id);
        }
        if let Some(before) = before {
            let words = Words::of(row.email.as_deref(), row.display_name.as_deref());
            old_words.extend(before.without(&words).map(|word| (word.to_owned(), row.id)));
        }
        row.removed_at = None;
        row.generation = scope.number;
        if is != Known::InThisRun {
            row.last_seen_at = scope.now;
        }
        written.push(row);
    }
    bulk::write(conn, written).await?;
    index::remove_words(conn, old_words).await?;
    index::refresh(conn, scope.instance_id, &renamed, scope.now).await?;
    bulk::touch(conn, scope, &touched).await?;
    change_again(conn, scope, changed_again, &mut changes, counts).await?;
    bulk::record(conn, scope.now, &changes).await
}

/// The users in the order of the page, each once.
async fn find<C: ConnectionTrait>(
    conn: &C,
    scope: &Scope,
    users: &[SourceUser],
    counts: &mut Counts,
) -> Result<Vec<Listed>> {
    let distinct: HashSet<&str> = users.iter().map(|user| user.external_id.as_str()).collect();
    let ids: Vec<&str> = distinct.into_iter().collect();
    let rows = bulk::find(conn, scope.instance_id, &ids).await?;
    let mut rows: HashMap<String, Model> = rows.into_iter().map(|row| (row.external_id.clone(), row)).collect();
    let mut positions: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
    let mut found: Vec<Listed> = Vec::with_capacity(ids.len());
    for user in users {
        match positions.entry(user.external_id.as_str()) {
            Entry::Occupied(position) => {
                counts.repeated += 1;
                found[*position.get()].update(user);
            }
            Entry::Vacant(position) => {
                position.insert(found.len());
                found.push(Listed::new(rows.remove(&user.external_id), user, scope));
            }
        }
    }
    Ok(found)
}

/// Records the changes of users that the run had seen before. A run has one change for each user.
async fn change_again<C: ConnectionTrait>(
    conn: &C,
    scope: &Scope,
    users: Vec<(Model, OldValues)>,
    changes: &mut Vec<Change>,
    counts: &mut Counts,
) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let recorded = user_change::Entity::find()
        .filter(user_change::Column::RunId.eq(scope.run_id))
        .filter(user_change::Column::UserId.is_in(users.iter().map(|(row, _)| row.id)))
        .all(conn)
        .await?;
    let mut recorded: HashMap<Uuid, user_change::Model> =
        recorded.into_iter().map(|change| (change.user_id, change)).collect();
    for (row, later) in users {
        match recorded.remove(&row.id) {
            None => {
                counts.changed += 1;
                changes.push(scope.changed(&row, &later));
            }
            // The run has added the user.
            Some(change) if change.kind == Kind::Added && change.old_values.is_empty() => {}
            Some(change) => {
                let mut old_values = OldValues::from_json(&change.old_values)?;
                old_values.add(later);
                old_values.drop_unchanged(&row);
                let (id, is_return) = (change.id, change.kind == Kind::Added);
                let fields = if is_return { String::new() } else { old_values.recorded() };
                if fields.is_empty() && !is_return {
                    counts.changed -= 1;
                    user_change::Entity::delete_by_id(id).exec(conn).await?;
                } else {
                    let change = user_change::ActiveModel {
                        id: Set(id),
                        fields: Set(fields),
                        old_values: Set(old_values.to_json()),
                        at: Set(scope.now),
                        ..Default::default()
                    };
                    change.update(conn).await?;
                }
            }
        }
    }
    Ok(())
}

/// The users that are not on the list. Those with the status `spared` are left out: the list may lack some of them.
fn unseen(scope: &Scope, spared: Option<UserStatus>) -> Condition {
    Condition::all()
        .add(Column::InstanceId.eq(scope.instance_id))
        .add(Column::RemovedAt.is_null())
        .add(Column::Generation.lt(scope.number))
        .add_option(spared.map(|spared| Column::Status.ne(spared)))
}

/// How many users are not on the list, besides those with the status `spared`.
pub async fn count_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope, spared: Option<UserStatus>) -> Result<i64> {
    use sea_orm::PaginatorTrait;
    let unseen = Entity::find().filter(unseen(scope, spared)).count(conn).await?;
    Ok(i64::try_from(unseen).unwrap_or(i64::MAX))
}

/// Deletes the users that only this run has seen, and returns how many there were. Users that were removed and came
/// back stay.
pub async fn drop_added<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<i64> {
    let of_run = user_change::Column::RunId.eq(scope.run_id).and(user_change::Column::Kind.eq(Kind::Added));
    let own = Expr::col((Entity, Column::Id)).equals((user_change::Entity, user_change::Column::UserId));
    let mut recorded = Query::select();
    recorded.expr(Expr::value(1)).from(user_change::Entity).and_where(own).and_where(of_run);
    let added = Entity::find()
        .select_only()
        .columns(SOURCE)
        .filter(Column::InstanceId.eq(scope.instance_id))
        .filter(Column::Generation.eq(scope.number))
        // A run sets both when it stores a new user. Later runs set only the second one.
        .filter(Expr::col((Entity, Column::FirstSeenAt)).equals((Entity, Column::LastSeenAt)))
        .filter(Expr::exists(recorded))
        .order_by_asc(Column::Id)
        .limit(bulk::ROWS as u64)
        .lock(LockType::Update);
    let (mut after, mut dropped) = (Uuid::nil(), 0);
    loop {
        let rows: Vec<Source> = added.clone().filter(Column::Id.gt(after)).into_tuple().all(conn).await?;
        let Some((last, ..)) = rows.last() else { return Ok(i64::try_from(dropped).unwrap_or(i64::MAX)) };
        after = *last;
        dropped += delete::remove(conn, rows).await?;
    }
}

/// Marks the users that are not on the list as removed, besides those with the status `spared`, and returns how many
/// there are.
pub async fn remove_unseen<C: ConnectionTrait>(conn: &C, scope: &Scope, spared: Option<UserStatus>) -> Result<i64> {
    let unseen = unseen(scope, spared);
    let mut removals = Query::select();
    removals
        .expr(Expr::value(scope.run_id))
        .column(Column::Id)
        .expr(Expr::value(Kind::Removed))
        .expr(Expr::value(""))
        .expr(Expr::value(row::OF_REMOVED))
        .expr(Expr::value(scope.now))
        .from(Entity)
        .cond_where(unseen.clone());
    let mut insert = Query::insert();
    insert.into_table(user_change::Entity).columns([
        user_change::Column::RunId,
        user_change::Column::UserId,
        user_change::Column::Kind,
        user_change::Column::Fields,
        user_change::Column::OldValues,
        user_change::Column::At,
    ]);
    insert.select_from(removals).map_err(|error| crate::error::Error::internal("the removal", error))?;
    conn.execute(&insert).await?;
    let removed =
        Entity::update_many().col_expr(Column::RemovedAt, Expr::value(scope.now)).filter(unseen).exec(conn).await?;
    index_removals(conn, scope).await?;
    Ok(i64::try_from(removed.rows_affected).unwrap_or(i64::MAX))
}

/// Lets searches know whom the run has removed.
async fn index_removals<C: ConnectionTrait>(conn: &C, scope: &Scope) -> Result<()> {
    use user_change::Column as Recorded;
    let removed = user_change::Entity::find()
        .select_only()
        .columns([Recorded::Id, Recorded::UserId])
        .filter(Recorded::RunId.eq(scope.run_id))
        .filter(Recorded::Kind.eq(Kind::Removed))
        .order_by_asc(Recorded::Id)
        .limit(index::TOGETHER as u64);
    let mut after = 0;
    loop {
        let removed: Vec<(i64, Uuid)> = removed.clone().filter(Recorded::Id.gt(after)).into_tuple().all(conn).await?;
        let Some((last, _)) = removed.last() else { return Ok(()) };
        after = *last;
        let users: Vec<Uuid> = removed.iter().map(|(_, user)| *user).collect();
        index::refresh(conn, scope.instance_id, &users, scope.now).await?;
    }
}
