//! The ends of the chain: the row `audit_chain`, with the newest entry, and with the anchor, which is the entry before the
//! oldest one that is kept.
//!
//! The row is signed, from the moment the keys are opened for the first time. If its signature is wrong, or the newest
//! entry of the table is not the one it names, somebody else has written to the database. Appending goes on, so that nobody
//! can stop the service in this way, but the row then keeps the number of the first entry after the break, until a person
//! [accepts](super::accept) the log.

use entity::audit_chain::{self, ID};
use entity::audit_entry::{Column, Entity, Model};
use sea_orm::sea_query::{OnConflict, UpdateStatement};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use tracing::error;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::secrets::{self, Fields, KeyRing, SecretKey};

/// The ends of the chain.
pub type Ends = audit_chain::Model;

/// The largest number that an entry is believed to have from Muster, if nothing proves it.
pub(super) const MAX_NUMBER: i64 = 1 << 52;
/// How many entries are read at a time.
pub(super) const PAGE: u64 = 1_000;

/// The row of a log without entries, and what is used if somebody has deleted the row.
fn blank() -> Ends {
    Ends {
        id: ID,
        last_id: 0,
        last_at: 0,
        last_hash: None,
        anchor_id: 0,
        anchor_hash: None,
        broken_at: None,
        signature: None,
        unproved_id: None,
    }
}

/// The ends, without a lock.
pub async fn read<C: ConnectionTrait>(conn: &C) -> Result<Ends> {
    Ok(audit_chain::Entity::find_by_id(ID).one(conn).await?.unwrap_or_else(blank))
}

/// The ends, locked until the transaction ends.
pub(super) async fn lock(tx: &Tx) -> Result<Ends> {
    let row = || audit_chain::Entity::find_by_id(ID).lock_exclusive().one(tx.conn());
    if let Some(ends) = row().await? {
        return Ok(ends);
    }
    // Somebody has deleted it.
    let insert = audit_chain::Entity::insert_many([blank().into_active_model().reset_all()]);
    let insert = insert.on_conflict(OnConflict::column(audit_chain::Column::Id).do_nothing().to_owned());
    insert.exec_without_returning(tx.conn()).await?;
    row().await?.ok_or_else(|| Error::Internal("the row of audit_chain cannot be written".into()))
}

/// Notes a break if the ends are not as Muster left them. Afterwards, the numbers of `room` entries are free.
pub(super) async fn check(tx: &Tx, ring: &KeyRing, ends: &mut Ends, room: i64) -> Result<()> {
    let newest = Entity::find().select_only().column(Column::Id).order_by_desc(Column::Id).limit(1);
    let newest = newest.into_tuple::<i64>().one(tx.conn()).await?;
    let is_genuine = is_genuine(ring, ends);
    if is_genuine && ends.last_id == newest.unwrap_or(ends.anchor_id) {
        return Ok(());
    }
    if !is_genuine {
        *ends = rebuilt(tx, ends.anchor_id).await?;
    }
    ends.last_id = free_after(tx, ends.last_id, room).await?;
    note_break(ends);
    Ok(())
}

/// Notes that the log was changed before the next entry.
pub(super) fn note_break(ends: &mut Ends) {
    if ends.broken_at.is_none() {
        ends.broken_at = Some(ends.last_id + 1);
        error!(entry = ends.last_id + 1, "the audit log was changed outside of Muster; see `muster audit verify`");
    }
}

/// What the entries say of the ends, because the row does not count.
pub(super) async fn rebuilt(tx: &Tx, anchor: i64) -> Result<Ends> {
    let newest = newest(tx, MAX_NUMBER).await?;
    let (last_id, last_at, last_hash) = newest.map_or((0, 0, None), |newest| (newest.id, newest.at, newest.hash));
    let anchor_id = anchor.clamp(0, last_id);
    Ok(Ends { last_id, last_at, last_hash, anchor_id, unproved_id: Some(anchor_id), ..blank() })
}

/// The newest of the entries up to a number.
pub(super) async fn newest(tx: &Tx, end: i64) -> Result<Option<Model>> {
    let possible = Entity::find().filter(Column::Id.between(1, end));
    Ok(possible.order_by_desc(Column::Id).limit(1).one(tx.conn()).await?)
}

/// The number after which `room` numbers are free, which is `last` unless somebody has inserted entries there.
async fn free_after(tx: &Tx, last: i64, room: i64) -> Result<i64> {
    let mut end = last;
    loop {
        let taken = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(end));
        let taken = taken.order_by_asc(Column::Id).limit(PAGE).into_tuple::<i64>().all(tx.conn()).await?;
        for id in &taken {
            if id - end > room {
                return Ok(end);
            }
            end = *id;
        }
        if taken.is_empty() {
            return Ok(end);
        }
    }
}

/// Signs the ends before anything was appended, so that from then on a row without a signature is not Muster's.
///
/// # Errors
/// If the database cannot be used.
pub async fn sign_first(tx: &Tx, key: &SecretKey) -> Result<()> {
    let ends = lock(tx).await?;
    let from_last = Entity::find().filter(Column::Id.gte(ends.last_id)).order_by_asc(Column::Id).limit(2);
    let follows = |entry: &Model| entry.id > ends.last_id || entry.hash.is_some();
    let is_new = ends.signature.is_none() && ends.last_hash.is_none() && ends.last_id == ends.anchor_id;
    if !is_new || from_last.all(tx.conn()).await?.iter().any(follows) {
        return Ok(());
    }
    store(tx, key, Ends { unproved_id: Some(ends.anchor_id), ..ends }).await
}

/// Signs and writes the row.
pub(super) async fn store(tx: &Tx, key: &SecretKey, ends: Ends) -> Result<()> {
    tx.conn().execute(&signed(key, ends)).await?;
    Ok(())
}

/// The statement that writes the row, signed.
pub(super) fn signed(key: &SecretKey, ends: Ends) -> UpdateStatement {
    let signature = key.sign_row(&signed_fields(&ends));
    let row = Ends { signature: Some(signature), ..ends }.into_active_model().reset_all();
    audit_chain::Entity::update_many().set(row).filter(audit_chain::Column::Id.eq(ID)).into_query()
}

fn signed_fields(ends: &Ends) -> Fields {
    let Ends { id: _, last_id, last_at, last_hash, anchor_id, anchor_hash, broken_at, signature: _, unproved_id } =
        ends;
    let fields = Fields::default()
        .text("audit_chain")
        .number(*last_id)
        .number(*last_at)
        .optional(last_hash.as_deref(), Fields::bytes)
        .number(*anchor_id)
        .optional(anchor_hash.as_deref(), Fields::bytes)
        .optional(*broken_at, Fields::number);
    // A row that was signed before there was this column stays valid.
    match unproved_id {
        Some(unproved) => fields.number(*unproved),
        None => fields,
    }
}

/// Whether a key of this installation has signed the ends.
pub fn is_genuine(ring: &KeyRing, ends: &Ends) -> bool {
    ends.signature.as_deref().is_some_and(|signature| ring.has_signed_row(&signed_fields(ends), signature))
}

/// The newest entry of which nothing is proved.
pub(super) fn unproved(ends: &Ends) -> i64 {
    ends.unproved_id.unwrap_or(ends.anchor_id)
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
