//! Takes the log as it is, after a person has looked into what was changed or restored.

use entity::audit_entry::{Column, Entity};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::ends::{self, Ends, MAX_NUMBER};
use super::verify::verify;
use crate::db::Tx;
use crate::error::Result;
use crate::installation;

/// What was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many breaks there were. If there was one, the chain begins anew after the newest entry, and of those before it
    /// nothing is proved any more.
    pub breaks: usize,
    /// How many entries were removed, because Muster cannot have given them their numbers.
    pub removed: u64,
}

/// Verifies the log, and accepts what it finds. No entry can be appended in the meantime.
///
/// # Errors
/// If the database cannot be used, or this process has no key.
pub async fn accept(tx: &Tx) -> Result<Accepted> {
    let ring = tx.keys()?;
    let ends = ends::lock(tx).await?;
    let breaks = verify(tx.conn(), Some(ring)).await?.breaks.len();
    if breaks == 0 {
        return Ok(Accepted::default());
    }
    let known = if ends::is_genuine(ring, &ends) { ends } else { ends::rebuilt(tx, 0).await? };
    let end = known.last_id.max(MAX_NUMBER);
    let outside = Condition::any().add(Column::Id.lt(1)).add(Column::Id.gt(end));
    let removed = Entity::delete_many().filter(outside).exec(tx.conn()).await?.rows_affected;
    let outside = Condition::any().add(Person::EntryId.lt(1)).add(Person::EntryId.gt(end));
    audit_person::Entity::delete_many().filter(outside).exec(tx.conn()).await?;
    let (last_id, last_hash) = match ends::newest(tx, end).await? {
        Some(newest) => (newest.id, newest.hash),
        None => (known.last_id, known.last_hash.clone()),
    };
    let key = installation::key_in_use(tx.conn(), ring).await?;
    let (anchor_id, anchor_hash) = (last_id, last_hash.clone());
    let anew =
        Ends { last_id, last_hash, anchor_id, anchor_hash, unproved_id: Some(last_id), broken_at: None, ..known };
    ends::store(tx, &key, anew).await?;
    Ok(Accepted { breaks, removed })
}
