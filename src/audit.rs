//! What members did that changes no instance's state, and so leaves no event.

use entity::audit_entry::{Action, ActiveModel};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;

/// Records an entry in the transaction that did it. `detail` is a sentence for a
/// person, without addresses and secrets.
pub async fn record(tx: &Tx, at: i64, actor: &str, action: Action, instance_id: Option<Uuid>, detail: String) -> Result<()> {
    ActiveModel {
        at: Set(at),
        actor: Set(actor.to_owned()),
        action: Set(action),
        instance_id: Set(instance_id),
        detail: Set(detail),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(())
}
