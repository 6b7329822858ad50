//! Writes the words by which users are found.
//!
//! A run that changes a few users writes their words with them. Writing those of very many users, such as at a first
//! sync, would slow the sync down, so the run only notes these users (`user_backlog`), and [`work`] writes their words
//! when the run has ended, or after [`LAG`]. [`as_of`] says up to when searches find everybody.

use std::time::Duration;

use entity::user::{Column, Entity};
use entity::{installation, user_backlog, user_word};
use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Statement,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::words::Words;
use crate::db::keyset::array;
use crate::db::{Db, Reader, Tx};
use crate::error::Result;

/// The words of so many users are written at once.
const FEW: usize = 50;
/// How many users are noted together.
pub const TOGETHER: usize = 1_000;
/// How many notes are worked on in one transaction.
const NOTES: u64 = 2;
/// How often the notes are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// After how long the words are written even if a run still adds users.
const LAG: Duration = Duration::from_secs(30);
/// The most rows of one statement on SQLite.
const ROWS: usize = 512;
/// The most words that one statement deletes on SQLite: it tests them one after another, and so deeply.
const PAIRS: usize = 256;

/// A user whose words are written.
pub struct Indexed {
    pub id: Uuid,
    pub instance_id: Uuid,
    pub words: Words,
    /// Whether the application no longer lists the user.
    pub removed: bool,
}

/// The columns from which words are made.
pub type Source = (Uuid, Uuid, Option<String>, Option<String>, Option<i64>);

/// The columns of [`Source`].
pub const SOURCE: [Column; 5] = [Column::Id, Column::InstanceId, Column::Email, Column::DisplayName, Column::RemovedAt];

/// The users of some rows.
pub fn indexed(rows: Vec<Source>) -> Vec<Indexed> {
    let indexed = |(id, instance_id, email, name, removed_at): Source| Indexed {
        id,
        instance_id,
        words: Words::of(email.as_deref(), name.as_deref()),
        removed: removed_at.is_some(),
    };
    rows.into_iter().map(indexed).collect()
}

/// Writes the words of an instance's users whose rows were written, now or later.
pub async fn refresh<C: ConnectionTrait>(conn: &C, instance: Uuid, users: &[Uuid], now: i64) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    if users.len() <= FEW {
        let rows = Entity::find().select_only().columns(SOURCE).filter(Column::Id.is_in(users.iter().copied()));
        return write(conn, &indexed(rows.into_tuple().all(conn).await?)).await;
    }
    let notes = users.chunks(TOGETHER).map(|users| user_backlog::ActiveModel {
        instance_id: Set(instance),
        users: Set(users.iter().flat_map(|id| *id.as_bytes()).collect()),
        stored_at: Set(now),
        ..Default::default()
    });
    user_backlog::Entity::insert_many(notes).exec_without_returning(conn).await?;
    Ok(())
}

/// Writes the words of users. Words that are there are corrected.
pub async fn write<C: ConnectionTrait>(conn: &C, users: &[Indexed]) -> Result<()> {
    let mut rows: Vec<user_word::Model> = Vec::with_capacity(users.len() * 4);
    for user in users {
        let words = user.words.joined();
        rows.extend(user.words.shared().map(|(word, shared)| user_word::Model {
            word: word.to_owned(),
            user_id: user.id,
            instance_id: user.instance_id,
            words: words.clone(),
            shared: shared.try_into().unwrap_or(i32::MAX),
            removed: user.removed,
        }));
    }
    // Neighbours in the index are written together.
    rows.sort_unstable_by(|a, b| (&a.word, a.user_id).cmp(&(&b.word, b.user_id)));
    if rows.is_empty() {
        return Ok(());
    }
    if conn.get_database_backend() == DbBackend::Postgres {
        let values = [
            array(rows.iter().map(|row| row.word.clone())),
            array(rows.iter().map(|row| row.user_id)),
            array(rows.iter().map(|row| row.instance_id)),
            array(rows.iter().map(|row| row.words.clone())),
            array(rows.iter().map(|row| row.shared)),
            array(rows.iter().map(|row| row.removed)),
        ];
        conn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, WRITE, values)).await?;
        return Ok(());
    }
    for rows in pieces(&rows, ROWS) {
        let rows = rows.iter().cloned().map(IntoActiveModel::<user_word::ActiveModel>::into_active_model);
        let corrected = [user_word::Column::Words, user_word::Column::Shared, user_word::Column::Removed];
        let known = OnConflict::columns([user_word::Column::Word, user_word::Column::UserId])
            .update_columns(corrected)
            .to_owned();
        user_word::Entity::insert_many(rows).on_conflict(known).exec_without_returning(conn).await?;
    }
    Ok(())
}

const WRITE: &str = "INSERT INTO user_word (word, user_id, instance_id, words, shared, removed)
    SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::bool[])
    ON CONFLICT (word, user_id) DO UPDATE SET words = EXCLUDED.words, shared = EXCLUDED.shared, removed = EXCLUDED.removed
    WHERE (user_word.words, user_word.removed) <> (EXCLUDED.words, EXCLUDED.removed)";

// One look-up for each word, whatever the statistics are. A join might read the whole table.
const DELETE: &str = "DELETE FROM user_word WHERE ctid = ANY (ARRAY(
    SELECT known.ctid FROM UNNEST($1::text[], $2::uuid[]) AS gone (word, user_id) CROSS JOIN LATERAL
    (SELECT ctid FROM user_word WHERE word = gone.word AND user_id = gone.user_id OFFSET 0) AS known))";

/// Divides a slice into parts of a few different lengths, at most `longest`, each of which has a statement of its own.
fn pieces<T>(mut left: &[T], longest: usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let half = 1 << left.len().checked_ilog2()?;
        let piece;
        (piece, left) = left.split_at(if half < longest { half } else { longest });
        Some(piece)
    })
}

/// Deletes all words of users.
pub async fn remove<C: ConnectionTrait>(conn: &C, users: &[Indexed]) -> Result<()> {
    let words = users.iter().flat_map(|user| user.words.shared().map(|(word, _)| (word.to_owned(), user.id)));
    remove_words(conn, words.collect()).await
}

/// Deletes some words of users.
pub async fn remove_words<C: ConnectionTrait>(conn: &C, words: Vec<(String, Uuid)>) -> Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    if conn.get_database_backend() == DbBackend::Postgres {
        let values = [array(words.iter().map(|(word, _)| word.clone())), array(words.iter().map(|(_, user)| *user))];
        conn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, DELETE, values)).await?;
        return Ok(());
    }
    for words in pieces(&words, PAIRS) {
        // SQLite does not use the primary key for a list of pairs.
        let any = words.iter().fold(Condition::any(), |any, (word, user)| {
            any.add(user_word::Column::Word.eq(word).and(user_word::Column::UserId.eq(*user)))
        });
        user_word::Entity::delete_many().filter(any).exec(conn).await?;
    }
    Ok(())
}

/// Writes the words of noted users until it is stopped.
pub async fn work(db: &Db, stop: &CancellationToken) -> Result<()> {
    let mut busy = Busy::default();
    while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
        while !stop.is_cancelled() && busy.may_work(newest(db.read()).await?) {
            db.write(|tx| async move { work_once(&tx).await }).await?;
        }
    }
    Ok(())
}

/// Whether a run adds users.
#[derive(Default)]
struct Busy {
    newest: Option<i64>,
    /// When the newest note was seen first, and when there was none last.
    quiet_since: Option<Instant>,
    waiting_since: Option<Instant>,
}

impl Busy {
    fn may_work(&mut self, newest: Option<i64>) -> bool {
        let now = Instant::now();
        if newest.is_none() {
            *self = Self::default();
            return false;
        }
        if self.newest != newest {
            (self.newest, self.quiet_since) = (newest, Some(now));
        }
        let since = *self.waiting_since.get_or_insert(now);
        self.quiet_since.is_some_and(|since| since.elapsed() >= LOOK) || since.elapsed() >= LAG
    }
}

async fn newest(reader: &Reader) -> Result<Option<i64>> {
    let newest = user_backlog::Entity::find().select_only().column(user_backlog::Column::Id);
    let newest: Option<(i64,)> = reader.row(newest.order_by_desc(user_backlog::Column::Id).into_query()).await?;
    Ok(newest.map(|(id,)| id))
}

async fn work_once(tx: &Tx) -> Result<()> {
    use user_backlog::Column as Note;
    let oldest =
        user_backlog::Entity::find().select_only().columns([Note::Id, Note::Users]).order_by_asc(Note::Id).limit(NOTES);
    let oldest: Vec<(i64, Vec<u8>)> = tx.hold_free(oldest).await?;
    if oldest.is_empty() {
        // Another process works on them.
        sleep(LOOK).await;
        return Ok(());
    }
    let ids = oldest.iter().flat_map(|(_, users)| users.chunks_exact(16)).filter_map(|id| Uuid::from_slice(id).ok());
    // Locked, so that a run cannot change their names meanwhile.
    let rows = Entity::find().select_only().columns(SOURCE).filter(Column::Id.is_in(ids)).order_by_asc(Column::Id);
    let rows: Vec<Source> = rows.lock(LockType::Update).into_tuple().all(tx.conn()).await?;
    write(tx.conn(), &indexed(rows)).await?;
    let done = oldest.into_iter().map(|(id, _)| id);
    user_backlog::Entity::delete_many().filter(Note::Id.is_in(done)).exec(tx.conn()).await?;
    Ok(())
}

/// Searches may miss users that were stored after this time (Unix milliseconds). `None` if they find all.
pub async fn as_of(reader: &Reader) -> Result<Option<i64>> {
    let oldest = user_backlog::Entity::find()
        .select_only()
        .column(user_backlog::Column::StoredAt)
        .order_by_asc(user_backlog::Column::Id);
    let oldest: Option<(i64,)> = reader.row(oldest.into_query()).await?;
    let through = installation::Entity::find_by_id(installation::ID)
        .select_only()
        .column(installation::Column::SearchableThrough);
    let through: Option<(Option<Uuid>,)> = reader.row(through.into_query()).await?;
    let through = through.and_then(|(through,)| through).map(time_of);
    Ok(oldest.map(|(stored_at,)| stored_at).into_iter().chain(through).min())
}

/// When an id was made, in Unix milliseconds.
fn time_of(id: Uuid) -> i64 {
    id.get_timestamp().map_or(0, |time| {
        let (seconds, nanos) = time.to_unix();
        seconds.try_into().unwrap_or(0) * 1000 + i64::from(nanos / 1_000_000)
    })
}

/// Notes how far the words of users of an earlier version are written.
pub async fn advance(tx: &Tx, through: Option<Uuid>) -> Result<()> {
    use installation::Column as Mark;
    let outdated = match through {
        Some(through) => Mark::SearchableThrough.lt(through),
        None => Mark::SearchableThrough.is_not_null(),
    };
    installation::Entity::update_many()
        .col_expr(Mark::SearchableThrough, Expr::value(through))
        .filter(outdated)
        .exec(tx.conn())
        .await?;
    Ok(())
}
