//! Users as they were.

use entity::user::Model;
use entity::user_change;
use serde_json::{Map, Value};

use super::keys;
use crate::error::Result;

/// The user before a change. `None` if there was none.
///
/// The changes of a user have to be taken back one after another, the last one first. Changes that have no time
/// ([`user_change::Model::at`]) are older than the history and cannot be taken back. What is not recorded is kept as it
/// is, except for the last activity, which is not known of the past.
pub fn before(row: Model, change: &user_change::Model) -> Result<Option<Model>> {
    if change.old_values.is_empty() {
        return Ok(None);
    }
    let old_values: Map<String, Value> = serde_json::from_str(&change.old_values)?;
    let mut values = serde_json::to_value(Model { last_active_at: None, ..row })?;
    if let Some(values) = values.as_object_mut() {
        values.extend(old_values);
    }
    let mut row: Model = serde_json::from_value(values)?;
    keys::fill(&mut row);
    Ok(Some(row))
}
