//! The chain of entries: how one is appended, and what its hash covers.

use entity::audit_entry;
use entity::audit_person::{self, Column as Person};
use sea_orm::sea_query::{CommonTableExpression, InsertStatement, OnConflict, UpdateStatement, WithClause};
use sea_orm::{ActiveEnum, ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryTrait};

use super::ends::{self, Ends};
use super::entry::Draft;
use crate::db::Tx;
use crate::error::Result;
use crate::installation;
use crate::secrets::{self, Digest, Fields};

/// By how much a time is moved forward at most, in milliseconds, so that times do not decrease along the chain although
/// the clocks of replicas differ.
const MAX_SHIFT_MS: i64 = 60_000;

/// Appends entries. It is called last in a transaction, because the ends stay locked until the commit.
///
/// # Errors
/// If the database cannot be used, or this process has no key.
pub(crate) async fn append(tx: &Tx, drafts: Vec<Draft>) -> Result<()> {
    let (ring, mut ends) = (tx.keys()?, ends::lock(tx).await?);
    // Read after the lock: a rotation signs the ends anew, and then takes the old key away.
    let key = installation::key_in_use(tx.conn(), ring).await?;
    ends::check(tx, ring, &mut ends, i64::try_from(drafts.len()).unwrap_or(i64::MAX)).await?;
    let (mut entries, mut persons) = (Vec::new(), Vec::new());
    for draft in drafts {
        let (entry, person) = draft.follow(&ends);
        (ends.last_id, ends.last_at, ends.last_hash) = (entry.id, entry.at, entry.hash.clone());
        entries.push(entry.into_active_model().reset_all());
        persons.push(person.into_active_model().reset_all());
    }
    let entries = audit_entry::Entity::insert_many(entries).into_query();
    // A row that somebody has put there must not keep anything from being recorded.
    let columns = [Person::Key, Person::ActorName, Person::Address, Person::SubjectName];
    let replace = OnConflict::column(Person::EntryId).update_columns(columns).to_owned();
    let persons = audit_person::Entity::insert_many(persons).on_conflict(replace).into_query();
    write(tx, entries, persons, ends::signed(&key, ends)).await
}

/// Writes all at once where a statement is a message to another machine.
async fn write(tx: &Tx, entries: InsertStatement, persons: InsertStatement, ends: UpdateStatement) -> Result<()> {
    let conn = tx.conn();
    if conn.get_database_backend() == DbBackend::Postgres {
        let part = |name, insert| CommonTableExpression::new().table_name(name).query(insert).to_owned();
        let parts = WithClause::new().cte(part("entries", entries)).cte(part("persons", persons)).to_owned();
        conn.execute(&parts.query(ends)).await?;
        return Ok(());
    }
    conn.execute(&entries).await?;
    conn.execute(&persons).await?;
    conn.execute(&ends).await?;
    Ok(())
}

impl Draft {
    /// The rows of the entry after the ends.
    fn follow(self, ends: &Ends) -> (audit_entry::Model, audit_person::Model) {
        let Draft { at, action, subject_kind, subject_id, subject_name, .. } = self;
        let Draft { actor, address, request_id, outcome, code, times, detail, .. } = self;
        let (at, detail) = in_order(at, detail, ends.last_at);
        let (id, key) = (ends.last_id + 1, secrets::random::<16>().to_vec());
        let address = address.map(|address| address.to_string());
        let person = audit_person::Model { entry_id: id, key, actor_name: actor.name, address, subject_name };
        let is_instance = subject_kind == Some(audit_entry::SubjectKind::Instance);
        let mut entry = audit_entry::Model {
            id,
            at,
            actor: actor.kind.to_value(),
            action: action.to_value(),
            instance_id: subject_id.filter(|_| is_instance),
            detail,
            actor_kind: Some(actor.kind.to_value()),
            actor_id: actor.id,
            subject_kind: subject_kind.map(|kind| kind.to_value()),
            subject_id,
            request_id,
            outcome: outcome.to_value(),
            code,
            times,
            person_digest: Some(person_digest(&person).to_vec()),
            hash: None,
        };
        entry.hash = Some(hash(&entry, ends.last_hash.as_deref()).to_vec());
        (entry, person)
    }
}

/// The time of an entry after one of the time `last`. A clock that was wrong for a while must not decide all later times.
fn in_order(at: i64, detail: String, last: i64) -> (i64, String) {
    match last.saturating_sub(at) {
        ..=0 => (at, detail),
        1..=MAX_SHIFT_MS => (last, detail),
        back => (at, format!("{detail} (Before this entry, the clock went back by {} seconds.)", back / 1_000)),
    }
}

/// The hash of an entry after one with the hash `previous`.
pub fn hash(entry: &audit_entry::Model, previous: Option<&[u8]>) -> Digest {
    let audit_entry::Model { id, at, actor, action, instance_id, detail, actor_kind, actor_id, .. } = entry;
    let audit_entry::Model { subject_kind, subject_id, request_id, outcome, code, times, person_digest, .. } = entry;
    let id_of = |fields: Fields, id: &uuid::Uuid| fields.bytes(id.as_bytes());
    Fields::default()
        .text("audit_entry")
        .optional(previous, Fields::bytes)
        .number(*id)
        .number(*at)
        .text(actor)
        .text(action)
        .optional(instance_id.as_ref(), id_of)
        .text(detail)
        .optional(actor_kind.as_deref(), Fields::text)
        .optional(actor_id.as_ref(), id_of)
        .optional(subject_kind.as_deref(), Fields::text)
        .optional(subject_id.as_ref(), id_of)
        .optional(request_id.as_ref(), id_of)
        .text(outcome)
        .optional(code.as_deref(), Fields::text)
        .number(*times)
        .optional(person_digest.as_deref(), Fields::bytes)
        .digest()
}

/// The digest of what is personal in an entry. Without the random key in the row, it says nothing.
pub fn person_digest(person: &audit_person::Model) -> Digest {
    let audit_person::Model { entry_id, key, actor_name, address, subject_name } = person;
    Fields::default()
        .bytes(key)
        .number(*entry_id)
        .text(actor_name)
        .optional(address.as_deref(), Fields::text)
        .optional(subject_name.as_deref(), Fields::text)
        .digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_ahead_decides_no_later_time() {
        let time = |at, last| in_order(at, "Done.".into(), last);
        assert_eq!(time(20, 10), (20, "Done.".into()));
        assert_eq!(time(10, 20), (20, "Done.".into()));
        let (at, detail) = time(1_000_000, 1_000_000_000);
        assert_eq!(at, 1_000_000);
        assert!(detail.ends_with("the clock went back by 999000 seconds.)"), "{detail}");
    }
}
