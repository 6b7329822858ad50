//! Takes a list in.

use entity::list_delivery::{ActiveModel, Column, Entity, Model, State};
use entity::run::{self, Trigger};
use entity::{instance, list_batch};
use integration::list::Form;
use integration::user::SourceUser;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{delete, is_delivered};
use crate::auth::Caller;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::instance::Instances;
use crate::instance::state::{Change, RunRequest, State as InstanceState};
use crate::instance::transition::Transition;

/// What was found in a list that is whole.
#[derive(Clone, Debug)]
pub struct Whole {
    /// How it was read.
    pub form: Form,
    pub bytes: i64,
}

/// A list that is arriving.
#[derive(Clone, Debug)]
pub struct Arriving {
    id: Uuid,
    pub instance: Uuid,
    batches: i64,
    users: i64,
}

impl Arriving {
    /// How many users were stored so far.
    pub fn users(&self) -> i64 {
        self.users
    }
}

fn gone() -> Error {
    let message = "The delivery was ended, because the users of the instance were deleted meanwhile, or because \
        nothing arrived for too long.";
    Refusal::new(RefusalCode::NotFound, message).into()
}

impl Instances {
    /// Begins a delivery.
    pub async fn begin_delivery(&self, caller: &Caller, instance: &instance::Model) -> Result<Arriving> {
        if !is_delivered(instance) {
            let message = "Muster asks this application for its users. Lists are for instances of List only.";
            return Err(Refusal::invalid(message, ["id"]).into());
        }
        // Whether it can be completed, as far as that is known.
        InstanceState { sync_state: instance::SyncState::Idle, ..InstanceState::of(instance) }
            .apply(Change::Queue(RunRequest::guarded(Trigger::Manual)), 0)?;
        let (now, id) = (self.clock.now(), Uuid::now_v7());
        let row = &Model {
            id,
            instance_id: instance.id,
            state: State::Arriving,
            user_count: 0,
            bytes: 0,
            batches: 0,
            form: serde_json::to_string(&Form::default())?,
            delivered_by: caller.label(),
            begun_at: now,
            touched_at: now,
            delivered_at: None,
        };
        self.db
            .write(|tx| async move {
                row.clone().into_active_model().reset_all().insert(tx.conn()).await?;
                Ok(())
            })
            .await?;
        Ok(Arriving { id, instance: instance.id, batches: 0, users: 0 })
    }

    /// Stores some users of a list.
    pub async fn store_delivered(&self, arriving: &mut Arriving, users: &[SourceUser]) -> Result<()> {
        let (id, number, text) = (arriving.id, arriving.batches, &serde_json::to_string(users)?);
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                let touched = Entity::update_many()
                    .set(ActiveModel { batches: Set(number + 1), touched_at: Set(now), ..Default::default() })
                    .filter(Column::Id.eq(id))
                    .filter(Column::State.eq(State::Arriving));
                if touched.exec(tx.conn()).await?.rows_affected == 0 {
                    return Err(gone());
                }
                let batch = list_batch::Model { delivery_id: id, number, users: text.clone() };
                batch.into_active_model().reset_all().insert(tx.conn()).await?;
                Ok(())
            })
            .await?;
        arriving.batches += 1;
        arriving.users += i64::try_from(users.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Completes a delivery: the list is the instance's newest, and its run is queued.
    pub async fn complete_delivery(&self, caller: &Caller, arriving: &Arriving, whole: &Whole) -> Result<run::Model> {
        let (now, actor) = (self.clock.now(), &caller.label());
        let form = &serde_json::to_string(&whole.form)?;
        let told = &format!("It has {} rows.", arriving.users);
        let committed = self
            .db
            .write(|tx| async move {
                let mut transition = Transition::begin(&tx, arriving.instance, Some(actor), now).await?;
                let this = Entity::find_by_id(arriving.id).filter(Column::State.eq(State::Arriving));
                let this = this.one(tx.conn()).await?.ok_or_else(gone)?;
                let others = Entity::find()
                    .filter(Column::InstanceId.eq(arriving.instance))
                    .filter(Column::State.ne(State::Arriving))
                    .all(tx.conn())
                    .await?;
                delete(&tx, &others.into_iter().map(|other| other.id).collect::<Vec<_>>()).await?;
                let row = ActiveModel {
                    state: Set(State::Waiting),
                    user_count: Set(arriving.users),
                    bytes: Set(whole.bytes),
                    form: Set(form.clone()),
                    touched_at: Set(now),
                    delivered_at: Set(Some(now)),
                    ..this.into_active_model()
                };
                row.update(tx.conn()).await?;
                transition.tell(told.clone());
                if transition.current_run().is_some() {
                    transition.apply(Change::Cancel).await?;
                }
                let is_first = transition.last_run().is_none();
                let trigger = if is_first { Trigger::Initial } else { Trigger::Manual };
                transition.apply(Change::Queue(RunRequest::guarded(trigger))).await?;
                transition.commit().await
            })
            .await?;
        self.stop_cancelled(&committed);
        committed.current_run.ok_or_else(|| Error::Internal("a delivery without a run".into()))
    }

    /// Ends a delivery that is not whole. Nothing of it stays.
    pub async fn end_delivery(&self, arriving: &Arriving) -> Result<()> {
        let id = arriving.id;
        self.db
            .write(|tx| async move {
                let is_arriving =
                    Entity::find_by_id(id).filter(Column::State.eq(State::Arriving)).one(tx.conn()).await?;
                match is_arriving {
                    Some(_) => delete(&tx, &[id]).await,
                    None => Ok(()),
                }
            })
            .await
    }
}
