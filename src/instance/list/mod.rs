//! Lists that are delivered: the instances of the integration *List*.
//!
//! **A delivery** is a whole list, as a file that somebody sends ([`receive`]). While it arrives, its users are stored in
//! batches beside the register, which it does not touch yet. One transaction completes it: the list waits from then on,
//! the one before is forgotten, and a run is queued. A run in progress is cancelled, so that of two lists the one
//! that was complete later counts.
//!
//! **The run** is a run like any other. It reads the list that waits ([`source`]), page by page. So the guards,
//! the history, the mails and everything that follows from a run are the same. When it has succeeded, the users that were
//! stored for it are deleted. When a guard has stopped it, the list waits on, and the next run may be allowed to go on.
//!
//! **The schedule.** Nobody can be asked for a list, so a run that is due while none waits fails: the list is overdue.
//! People are told as of any other failure, once. It is due a tenth of the interval later than the list is expected,
//! because people and programs are not punctual. An instance to which nothing was delivered yet is not scheduled.
//!
//! **Interruption.** A delivery that breaks off leaves batches that nothing refers to. They are deleted at once, or after
//! a kill by [`prune`]. A completed one survives.
//!
//! **Deletion** of an instance or of its users deletes what waits for it.

use std::collections::HashMap;

use entity::instance::Model;
use entity::list_delivery::{self, State};
use entity::{list_batch, run};
use integration::list::{Form, KEY};
use integration::source::Capability;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use super::Instances;
use crate::clock::DAY_MS;
use crate::db::{Tx, keyset};
use crate::error::{Refusal, RefusalCode, Result};

pub mod receive;
pub(super) mod source;

/// For how long nothing of a list may arrive before it counts as broken off, in milliseconds.
const SILENCE_MS: i64 = 15 * 60_000;
/// For how long a list waits that no run can take over, in milliseconds.
const LONGEST_WAIT_MS: i64 = 30 * DAY_MS;

/// Whether the users of an instance are delivered.
pub fn is_delivered(instance: &Model) -> bool {
    instance.integration_key == KEY
}

/// The list that waits for a run of an instance.
pub async fn waiting<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<Option<list_delivery::Model>> {
    let own = list_delivery::Column::InstanceId.eq(instance);
    let waits = list_delivery::Column::State.eq(State::Waiting);
    Ok(list_delivery::Entity::find().filter(own).filter(waits).one(conn).await?)
}

/// The list that was delivered last, whether it waits or not.
pub async fn latest<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<Option<list_delivery::Model>> {
    let own = list_delivery::Column::InstanceId.eq(instance);
    let whole = list_delivery::Column::State.ne(State::Arriving);
    Ok(list_delivery::Entity::find().filter(own).filter(whole).one(conn).await?)
}

/// How a list was read.
pub fn form(delivery: &list_delivery::Model) -> Result<Form> {
    Ok(serde_json::from_str(&delivery.form)?)
}

/// The parts that a list has.
pub fn capabilities(delivery: &list_delivery::Model) -> Result<Vec<Capability>> {
    Ok(form(delivery)?.capabilities())
}

/// Notes that a run has taken over the list that waits for it. Since when its users are as they are is
/// when the list was delivered.
pub(super) async fn take_over(tx: &Tx, instance: &mut Model, run: &run::Model) -> Result<()> {
    let has_succeeded = matches!(run.outcome, Some(run::Outcome::Succeeded | run::Outcome::Partial));
    if !has_succeeded || !is_delivered(instance) {
        return Ok(());
    }
    let Some(delivery) = waiting(tx.conn(), instance.id).await? else { return Ok(()) };
    if let Some(at) = delivery.delivered_at {
        instance.last_success_at = instance.last_success_at.min(at);
    }
    finish(tx, delivery).await
}

/// Forgets the users that wait for an instance, because all users are deleted.
pub(super) async fn forget(tx: &Tx, instance: &Model) -> Result<()> {
    if !is_delivered(instance) {
        return Ok(());
    }
    for delivery in of(tx.conn(), instance.id).await? {
        match delivery.state {
            State::Arriving => delete(tx, &[delivery.id]).await?,
            State::Waiting => finish(tx, delivery).await?,
            State::Done => {}
        }
    }
    Ok(())
}

/// Deletes everything that was delivered to an instance.
pub(super) async fn delete_all(tx: &Tx, instance: &Model) -> Result<()> {
    if !is_delivered(instance) {
        return Ok(());
    }
    let ids: Vec<Uuid> = of(tx.conn(), instance.id).await?.into_iter().map(|delivery| delivery.id).collect();
    delete(tx, &ids).await
}

async fn of<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<Vec<list_delivery::Model>> {
    let own = list_delivery::Column::InstanceId.eq(instance);
    Ok(list_delivery::Entity::find().filter(own).all(conn).await?)
}

/// Deletes the stored users of a list, and keeps what is known of it.
async fn finish(tx: &Tx, delivery: list_delivery::Model) -> Result<()> {
    delete_batches(tx, &[delivery.id]).await?;
    let row = list_delivery::ActiveModel { state: Set(State::Done), ..delivery.into_active_model() };
    row.update(tx.conn()).await?;
    Ok(())
}

async fn delete(tx: &Tx, deliveries: &[Uuid]) -> Result<()> {
    delete_batches(tx, deliveries).await?;
    let these = list_delivery::Column::Id.is_in(deliveries.iter().copied());
    list_delivery::Entity::delete_many().filter(these).exec(tx.conn()).await?;
    Ok(())
}

async fn delete_batches(tx: &Tx, deliveries: &[Uuid]) -> Result<()> {
    let these = list_batch::Column::DeliveryId.is_in(deliveries.iter().copied());
    list_batch::Entity::delete_many().filter(these).exec(tx.conn()).await?;
    Ok(())
}

/// Deletes up to `limit` lists that broke off, and the users of those that no run could take over for very long.
pub async fn prune(tx: &Tx, now: i64, limit: u64) -> Result<u64> {
    use list_delivery::{Column, Entity};
    let past = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::State.eq(State::Arriving))
        .filter(Column::TouchedAt.lt(now - SILENCE_MS))
        .limit(limit);
    let past: Vec<Uuid> = tx.hold_free(past).await?;
    delete(tx, &past).await?;
    let forgotten = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::State.eq(State::Waiting))
        .filter(Column::DeliveredAt.lt(now - LONGEST_WAIT_MS))
        .limit(limit);
    let forgotten: Vec<Uuid> = tx.hold_free(forgotten).await?;
    let rows = Entity::find().filter(Column::Id.is_in(forgotten.iter().copied())).all(tx.conn()).await?;
    for delivery in rows {
        finish(tx, delivery).await?;
    }
    if !forgotten.is_empty() {
        tx.note_unlogged();
    }
    Ok((past.len() + forgotten.len()) as u64)
}

/// Refuses to sync an instance whose users are delivered, unless a list waits.
pub(super) async fn check_sync(tx: &Tx, instance: &Model) -> Result<()> {
    if !is_delivered(instance) || waiting(tx.conn(), instance.id).await?.is_some() {
        return Ok(());
    }
    let message = "Nobody can be asked for this list: deliver it instead.";
    Err(Refusal::new(RefusalCode::NothingDelivered, message).at(["id"]).into())
}

impl Instances {
    /// The last list that was delivered to each instance.
    pub async fn deliveries(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, list_delivery::Model>> {
        let own = keyset::among((list_delivery::Entity, list_delivery::Column::InstanceId), ids, self.db.backend());
        let whole = list_delivery::Column::State.ne(State::Arriving);
        let rows = list_delivery::Entity::find().filter(own).filter(whole).all(self.db.read()).await?;
        Ok(rows.into_iter().map(|row| (row.instance_id, row)).collect())
    }
}
