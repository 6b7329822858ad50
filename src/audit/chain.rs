//! The chain of entries: how one is appended, and how old ones are removed without breaking it.
//!
//! The row `audit_chain` has both ends: the newest entry, and the anchor, which is the entry before the oldest one that
//! is kept. It is signed. If its signature is wrong, or the newest entry of the table is not the one it names, somebody
//! else has written to the database. Appending goes on, so that nobody can stop the service in this way, but the row
//! keeps the number of the first entry after the break.

use entity::audit_chain::{self, ID};
use entity::{audit_entry, audit_person};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use tracing::error;

use super::entry::Draft;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::installation;
use crate::secrets::{self, Digest, Fields, KeyRing, SecretKey};

/// The ends of the chain.
pub type Ends = audit_chain::Model;

/// Appends entries. It is called last in a transaction, because the ends stay locked until the commit.
///
/// # Errors
/// If the database cannot be used, or this process has no key.
pub(crate) async fn append(tx: &Tx, drafts: Vec<Draft>) -> Result<()> {
    let (ring, mut ends) = (tx.keys()?, lock(tx).await?);
    // Read after the lock: a rotation signs the ends anew, and then takes the old key away.
    let key = installation::key_in_use(tx.conn(), ring).await?;
    check(tx, ring, &mut ends).await?;
    let (mut entries, mut persons) = (Vec::new(), Vec::new());
    for draft in drafts {
        let (entry, person) = draft.follow(&ends);
        (ends.last_id, ends.last_at, ends.last_hash) = (entry.id, entry.at, entry.hash.clone());
        entries.push(entry.into_active_model().reset_all());
        persons.push(person.into_active_model().reset_all());
    }
    audit_entry::Entity::insert_many(entries).exec_without_returning(tx.conn()).await?;
    audit_person::Entity::insert_many(persons).exec_without_returning(tx.conn()).await?;
    store(tx, &key, ends).await
}

/// The ends, locked until the transaction ends.
async fn lock(tx: &Tx) -> Result<Ends> {
    audit_chain::Entity::find_by_id(ID).lock_exclusive().one(tx.conn()).await?.ok_or_else(no_ends)
}

/// The ends, without a lock.
pub async fn ends<C: ConnectionTrait>(conn: &C) -> Result<Ends> {
    audit_chain::Entity::find_by_id(ID).one(conn).await?.ok_or_else(no_ends)
}

fn no_ends() -> Error {
    Error::Internal("the table audit_chain is empty".into())
}

/// Notes a break if the ends are not as Muster left them.
async fn check(tx: &Tx, ring: &KeyRing, ends: &mut Ends) -> Result<()> {
    let newest = audit_entry::Entity::find().select_only().column(audit_entry::Column::Id);
    let newest = newest.order_by_desc(audit_entry::Column::Id).limit(1).into_tuple::<i64>().one(tx.conn()).await?;
    let is_newest = ends.last_id == newest.unwrap_or(ends.anchor_id);
    if is_newest && is_genuine(ring, ends) {
        return Ok(());
    }
    ends.last_id = ends.last_id.max(newest.unwrap_or(0));
    if ends.broken_at.is_none() {
        ends.broken_at = Some(ends.last_id + 1);
        error!(entry = ends.last_id + 1, "the audit log was changed outside of Muster; see `muster audit verify`");
    }
    Ok(())
}

async fn store(tx: &Tx, key: &SecretKey, ends: Ends) -> Result<()> {
    let signature = key.sign_row(&signed_fields(&ends));
    let row = Ends { signature: Some(signature), ..ends }.into_active_model().reset_all();
    audit_chain::Entity::update_many().set(row).filter(audit_chain::Column::Id.eq(ID)).exec(tx.conn()).await?;
    Ok(())
}

fn signed_fields(ends: &Ends) -> Fields {
    let Ends { id: _, last_id, last_at, last_hash, anchor_id, anchor_hash, broken_at, signature: _ } = ends;
    Fields::default()
        .text("audit_chain")
        .number(*last_id)
        .number(*last_at)
        .optional(last_hash.as_deref(), Fields::bytes)
        .number(*anchor_id)
        .optional(anchor_hash.as_deref(), Fields::bytes)
        .optional(*broken_at, Fields::number)
}

/// Whether a key of this installation has signed the ends. Before the first entry, there is nothing to sign.
pub fn is_genuine(ring: &KeyRing, ends: &Ends) -> bool {
    match &ends.signature {
        Some(signature) => ring.has_signed_row(&signed_fields(ends), signature),
        None => ends.last_hash.is_none() && ends.last_id == ends.anchor_id,
    }
}

/// Signs the ends with another key, if one of this installation has signed them. Returns how many rows that were.
pub async fn sign_anew(tx: &Tx, ring: &KeyRing, key: &SecretKey) -> Result<u64> {
    let ends = lock(tx).await?;
    let signer = ends.signature.as_deref().and_then(secrets::signer_of);
    if signer.is_none_or(|id| id == key.id()) || !is_genuine(ring, &ends) {
        return Ok(0);
    }
    store(tx, key, ends).await?;
    Ok(1)
}

/// Takes the log as it is. If it has breaks, the chain begins `anew` after the newest entry, and of those before it
/// nothing is proved any more.
pub async fn accept(tx: &Tx, anew: bool) -> Result<()> {
    let (ring, mut ends) = (tx.keys()?, lock(tx).await?);
    let key = installation::key_in_use(tx.conn(), ring).await?;
    check(tx, ring, &mut ends).await?;
    let newest = audit_entry::Entity::find().order_by_desc(audit_entry::Column::Id).limit(1).one(tx.conn()).await?;
    if let Some(newest) = newest.filter(|_| anew) {
        (ends.last_id, ends.last_hash) = (newest.id, newest.hash);
        (ends.anchor_id, ends.anchor_hash) = (ends.last_id, ends.last_hash.clone());
    }
    if anew {
        ends.broken_at = None;
    }
    store(tx, &key, ends).await
}

/// Deletes up to `limit` of the oldest entries if they are from before `before` (Unix milliseconds). Returns how many
/// were deleted. The anchor keeps the hash of the last one.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    use audit_entry::Column;
    let mut ends = lock(tx).await?;
    let oldest = audit_entry::Entity::find().select_only().columns([Column::Id, Column::At, Column::Hash]);
    let oldest = oldest.order_by_asc(Column::Id).limit(limit);
    let oldest: Vec<(i64, i64, Option<Vec<u8>>)> = oldest.into_tuple().all(tx.conn()).await?;
    let Some((last, _, hash)) = oldest.into_iter().take_while(|(_, at, _)| *at < before).last() else { return Ok(0) };
    if last > ends.anchor_id {
        let ring = tx.keys()?;
        let key = installation::key_in_use(tx.conn(), ring).await?;
        check(tx, ring, &mut ends).await?;
        (ends.anchor_id, ends.anchor_hash) = (last, hash);
        store(tx, &key, ends).await?;
    }
    audit_person::Entity::delete_many().filter(audit_person::Column::EntryId.lte(last)).exec(tx.conn()).await?;
    Ok(audit_entry::Entity::delete_many().filter(Column::Id.lte(last)).exec(tx.conn()).await?.rows_affected)
}

impl Draft {
    /// The rows of the entry after the ends.
    fn follow(self, ends: &Ends) -> (audit_entry::Model, audit_person::Model) {
        let Draft { at, action, subject_kind, subject_id, subject_name, .. } = self;
        let Draft { actor, address, request_id, outcome, code, times, detail, .. } = self;
        let (id, key) = (ends.last_id + 1, secrets::random::<16>().to_vec());
        let address = address.map(|address| address.to_string());
        let person = audit_person::Model { entry_id: id, key, actor_name: actor.name, address, subject_name };
        let is_instance = subject_kind == Some(audit_entry::SubjectKind::Instance);
        let mut entry = audit_entry::Model {
            id,
            // Times never decrease along the chain, so that a span of time is a span of entries.
            at: at.max(ends.last_at),
            actor: actor.kind.to_value(),
            action,
            instance_id: subject_id.filter(|_| is_instance),
            detail,
            actor_kind: Some(actor.kind),
            actor_id: actor.id,
            subject_kind,
            subject_id,
            request_id,
            outcome,
            code,
            times,
            person_digest: Some(person_digest(&person).to_vec()),
            hash: None,
        };
        entry.hash = Some(hash(&entry, ends.last_hash.as_deref()).to_vec());
        (entry, person)
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
        .text(&action.to_value())
        .optional(instance_id.as_ref(), id_of)
        .text(detail)
        .optional(*actor_kind, |fields, kind| fields.text(&kind.to_value()))
        .optional(actor_id.as_ref(), id_of)
        .optional(*subject_kind, |fields, kind| fields.text(&kind.to_value()))
        .optional(subject_id.as_ref(), id_of)
        .optional(request_id.as_ref(), id_of)
        .text(&outcome.to_value())
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
