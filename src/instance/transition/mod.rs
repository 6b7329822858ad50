//! The unit of work of every command on an instance.
//!
//! A transition holds the transaction, the locked row, the runs that the row points at, who
//! acts, and the time. [`Transition::apply`] asks the [state machine](super::state) for the
//! steps of a change and carries out every effect of every step, in order.
//! [`Transition::commit`] then writes the row and one event for each step. A transition
//! without steps writes nothing.
//!
//! Nothing else writes the columns of [`State`], queues, starts or ends a run, or records an
//! event. Columns that the state machine does not know (name, configuration, …) are set by
//! [`Transition::instance_mut`] before the change that reports them.

use entity::event::Cause;
use entity::instance::{ActiveModel, Column, Entity, Model};
use entity::run;
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::event::{Previous, Snapshot};
use super::standing::Standing;
use super::state::{Change, State, Step};
use super::{Instances, create, list, lock, runs};
use crate::audit::{self, Subject};
use crate::db::{Tx, is_duplicate};
use crate::error::{Error, Result};
use crate::events::{self, NewEvent};

mod effects;

/// See the [module](self).
pub struct Transition<'a> {
    tx: &'a Tx,
    actor: Option<&'a str>,
    now: i64,
    /// Whether the row is already in the database.
    exists: bool,
    instance: Model,
    last_run: Option<run::Model>,
    current_run: Option<run::Model>,
    steps: Vec<(Cause, Snapshot)>,
    /// What filters match before the next step.
    previous: (Previous, Standing),
    revised: bool,
    cancelled_run: Option<Uuid>,
    /// What a member changes, for the audit log.
    told: String,
}

/// What a transition has written.
pub struct Committed {
    pub instance: Model,
    pub last_run: Option<run::Model>,
    pub current_run: Option<run::Model>,
    /// The run whose worker should be stopped after the commit.
    pub cancelled_run: Option<Uuid>,
}

impl<'a> Transition<'a> {
    /// Locks an instance. `actor` is `None` when the server acts.
    ///
    /// # Errors
    /// A refusal if there is no such instance.
    pub async fn begin(tx: &'a Tx, id: Uuid, actor: Option<&'a str>, now: i64) -> Result<Self> {
        let instance = lock(tx, id).await?;
        Self::of(tx, instance, actor, now).await
    }

    /// The same for a row that is locked already.
    pub async fn of(tx: &'a Tx, locked: Model, actor: Option<&'a str>, now: i64) -> Result<Self> {
        let (last_run, current_run) = runs::of(tx.conn(), &locked).await?;
        Ok(Transition { last_run, current_run, ..Self::new(tx, locked, actor, now) })
    }

    /// A new instance. Its row is inserted when this is committed.
    pub async fn create(tx: &'a Tx, instance: Model, actor: &'a str, now: i64) -> Result<Self> {
        let mut transition = Transition { exists: false, ..Self::new(tx, instance, Some(actor), now) };
        let is_delivered = list::is_delivered(&transition.instance);
        let first = if is_delivered { State::create_waiting() } else { State::create() };
        transition.carry_out(first).await?;
        Ok(transition)
    }

    fn new(tx: &'a Tx, instance: Model, actor: Option<&'a str>, now: i64) -> Self {
        Transition {
            tx,
            actor,
            now,
            exists: true,
            previous: (Previous::of(&instance), Standing::of(&instance, now)),
            instance,
            last_run: None,
            current_run: None,
            steps: Vec::new(),
            revised: false,
            cancelled_run: None,
            told: String::new(),
        }
    }

    /// The instance as it is after the changes so far.
    pub fn instance(&self) -> &Model {
        &self.instance
    }

    /// To set columns that the state machine does not know.
    pub fn instance_mut(&mut self) -> &mut Model {
        &mut self.instance
    }

    /// Says for the audit log what a member changes, without names, addresses or secrets.
    pub fn tell(&mut self, change: String) {
        self.told = change;
    }

    /// The run that ended last.
    pub fn last_run(&self) -> Option<&run::Model> {
        self.last_run.as_ref()
    }

    /// The run that waits or is in progress.
    pub fn current_run(&self) -> Option<&run::Model> {
        self.current_run.as_ref()
    }

    /// To describe the outcome of the current run before [`Change::Complete`] stores it.
    ///
    /// # Errors
    /// If there is no current run.
    pub fn current_run_mut(&mut self) -> Result<&mut run::Model> {
        self.current_run.as_mut().ok_or_else(no_current_run)
    }

    /// Carries out a change. False if the instance was in that state already, so that nothing changed.
    ///
    /// # Errors
    /// The state machine's refusal.
    pub async fn apply(&mut self, change: Change) -> Result<bool> {
        let steps = State::of(&self.instance).apply(change, self.now)?;
        let changes = !steps.is_empty();
        for step in steps {
            self.carry_out(step).await?;
        }
        Ok(changes)
    }

    async fn carry_out(&mut self, step: Step) -> Result<()> {
        let Step { cause, state, effects } = step;
        state.store(&mut self.instance);
        self.instance.updated_at = self.now;
        for effect in effects {
            self.carry_out_effect(effect).await?;
        }
        let after = Standing::of(&self.instance, self.now);
        let (before, stood) = std::mem::replace(&mut self.previous, (Previous::of(&self.instance), after));
        let snapshot = Snapshot {
            instance: self.instance.clone(),
            last_run: self.last_run.clone(),
            current_run: self.current_run.clone(),
            before: Some(before),
            stood: (stood != after).then_some(stood),
        };
        self.steps.push((cause, snapshot));
        Ok(())
    }

    /// Writes the row, and an event for each step.
    pub async fn commit(self) -> Result<Committed> {
        let Transition { tx, actor, now, exists, instance, last_run, current_run, steps, cancelled_run, told, .. } =
            self;
        if !steps.is_empty() {
            write(tx, &instance, exists).await?;
        }
        for (cause, snapshot) in steps {
            let record = snapshot.encode()?;
            let actor = actor.map(str::to_owned);
            events::append(tx, NewEvent { instance_id: instance.id, at: now, cause, actor, record });
        }
        audit::record_change(tx, now, || Subject::instance(instance.id).named(&instance.name), &told);
        Ok(Committed { instance, last_run, current_run, cancelled_run })
    }
}

fn no_current_run() -> Error {
    Error::Internal("an active run without a row".into())
}

async fn write(tx: &Tx, instance: &Model, exists: bool) -> Result<()> {
    let row: ActiveModel = instance.clone().into_active_model().reset_all();
    // Neither statement returns the row, which is known.
    let written = if exists {
        let row = ActiveModel { id: NotSet, ..row };
        Entity::update_many().set(row).filter(Column::Id.eq(instance.id)).exec(tx.conn()).await.map(drop)
    } else {
        Entity::insert(row).exec_without_returning(tx.conn()).await.map(drop)
    };
    match written {
        Ok(()) => Ok(()),
        // The table has one unique index besides its key.
        Err(error) if is_duplicate(&error) => Err(create::name_taken(&instance.name).into()),
        Err(error) => Err(error.into()),
    }
}

impl Instances {
    /// Carries out one change of one instance, in a transaction of its own.
    pub(super) async fn apply(&self, id: Uuid, actor: &str, change: Change) -> Result<Committed> {
        let now = self.clock.now();
        let committed = self
            .db
            .write(|tx| async move {
                let mut transition = Transition::begin(&tx, id, Some(actor), now).await?;
                transition.apply(change).await?;
                transition.commit().await
            })
            .await?;
        self.stop_cancelled(&committed);
        Ok(committed)
    }

    /// Stops the work on a run that was cancelled, if this process does it.
    pub(super) fn stop_cancelled(&self, committed: &Committed) {
        if let Some(run) = committed.cancelled_run {
            self.running.stop(run);
        }
    }
}
