//! Removes old entries without breaking the chain.
//!
//! The database is not believed: the hashes of what is removed are computed first, from the anchor on. If one is wrong,
//! nothing is removed, and the break is noted.

use entity::audit_entry::{Column, Entity, Model};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::chain::hash;
use super::ends::{self, Ends};
use crate::db::Tx;
use crate::error::Result;
use crate::installation;
use crate::secrets::KeyRing;

/// Deletes up to `limit` of the oldest entries if they are from before `before` (Unix milliseconds). Returns how many
/// were deleted. The anchor keeps the hash of the last one.
///
/// # Errors
/// If the database cannot be used, or this process has no key.
pub async fn prune(tx: &Tx, before: i64, limit: u64) -> Result<u64> {
    // Without the lock, for which every mutation would wait.
    let (ring, known) = (tx.keys()?, ends::read(tx.conn()).await?);
    let expired = expired(tx, &known, before, limit).await?;
    let Some(last) = expired.last().map(|entry| entry.id) else { return Ok(0) };
    if !is_sound(ring, &known, &expired) {
        return refuse(tx, ring, before, limit).await;
    }
    audit_person::Entity::delete_many().filter(Person::EntryId.between(1, last)).exec(tx.conn()).await?;
    let mut ends = ends::lock(tx).await?;
    if (ends.anchor_id, &ends.anchor_hash) != (known.anchor_id, &known.anchor_hash) {
        // Another replica has removed these entries.
        return Ok(0);
    }
    if last > ends.anchor_id {
        let key = installation::key_in_use(tx.conn(), ring).await?;
        ends::check(tx, ring, &mut ends, 0).await?;
        (ends.anchor_id, ends.anchor_hash) = (last, expired.into_iter().next_back().and_then(|entry| entry.hash));
        ends::store(tx, &key, ends).await?;
    }
    Ok(Entity::delete_many().filter(Column::Id.between(1, last)).exec(tx.conn()).await?.rows_affected)
}

/// The oldest entries, as far as they are from before `before`.
async fn expired(tx: &Tx, ends: &Ends, before: i64, limit: u64) -> Result<Vec<Model>> {
    let oldest = Entity::find().filter(Column::Id.gte(1)).order_by_asc(Column::Id).limit(limit);
    let mut oldest = oldest.all(tx.conn()).await?;
    // A time that is later than that of the newest entry is of a clock that was wrong.
    let end = oldest.iter().take_while(|entry| entry.at < before || entry.at > ends.last_at);
    let end = end.enumerate().filter(|(_, entry)| entry.at < before).last().map_or(0, |(at, _)| at + 1);
    oldest.truncate(end);
    Ok(oldest)
}

/// Whether the entries are those that Muster has appended after the anchor. Of those of which nothing is proved, nothing
/// is asked.
fn is_sound(ring: &KeyRing, ends: &Ends, entries: &[Model]) -> bool {
    if !ends::is_genuine(ring, ends) {
        return false;
    }
    let (mut last, mut previous) = (ends.anchor_id, ends.anchor_hash.as_deref());
    for entry in entries.iter().filter(|entry| entry.id > ends::unproved(ends)) {
        if entry.id != last + 1 || entry.hash.as_deref() != Some(&hash(entry, previous)[..]) {
            return false;
        }
        (last, previous) = (entry.id, entry.hash.as_deref());
    }
    // Hashes can be computed by anybody, and only the newest one is signed.
    last < ends.last_id || (last == ends.last_id && previous == ends.last_hash.as_deref())
}

/// Notes a break, unless another replica has removed the entries in the meantime.
async fn refuse(tx: &Tx, ring: &KeyRing, before: i64, limit: u64) -> Result<u64> {
    let mut ends = ends::lock(tx).await?;
    let expired = expired(tx, &ends, before, limit).await?;
    if !is_sound(ring, &ends, &expired) && ends.broken_at.is_none() {
        let key = installation::key_in_use(tx.conn(), ring).await?;
        ends::check(tx, ring, &mut ends, 0).await?;
        ends::note_break(&mut ends);
        ends::store(tx, &key, ends).await?;
    }
    Ok(0)
}
