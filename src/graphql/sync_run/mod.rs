//! Sync runs: the type, its lists, and the progress of those that are running.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::graphql::written::Fields;
use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::notification::{MailReason, NotificationKind};
use entity::run::{FailureClass, Model, Outcome, Trigger};
use entity::user_change::Kind as ChangeKind;
use uuid::Uuid;

use super::answers::holds_until;
use super::api::Api;
use super::batch::{Batch, Relation};
use super::connection;
use super::error::ApiError;
use super::id::{self, Kind};
use super::instance::{Instance, InstanceById};
use super::list::Parent;
use super::page::{self, int};
use super::user::change::{ChangeList, LeaverList, UserChangeConnection};
use super::user::list::UserConnection;
use super::written::{Written, fields};
use crate::clock::date_time;
use crate::instance::notice::missing_permissions;
use integration::source::{Capability, Loss};

pub mod list;
pub mod progress;

#[derive(Clone)]
pub struct SyncRun {
    pub model: Arc<Model>,
    relations: Arc<Relations>,
}

/// Shared by the runs of one list.
struct Relations {
    runs: Batch<Uuid>,
    instances: Batch<Uuid>,
}

impl SyncRun {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<SyncRun> {
        let relations = Arc::new(Relations {
            runs: Batch::new(models.iter().map(|model| model.id)),
            instances: Batch::new(models.iter().map(|model| model.instance_id)),
        });
        models.into_iter().map(|model| SyncRun { model: Arc::new(model), relations: relations.clone() }).collect()
    }

    /// A single row, which is not part of a list.
    pub fn one(model: Model) -> SyncRun {
        let relations = Relations { runs: Batch::new([model.id]), instances: Batch::new([model.instance_id]) };
        SyncRun { model: Arc::new(model), relations: Arc::new(relations) }
    }

    /// The run with this id.
    pub async fn find(api: &Api, id: &ID) -> Result<Option<SyncRun>, ApiError> {
        let id = id::argument(Kind::SyncRun, id)?;
        let Some(run) = api.instances.runs_by_ids(&[id], api.wanted.runs).await?.into_values().next() else {
            return Ok(None);
        };
        Ok(api.sees(run.instance_id).await?.then(|| SyncRun::one(run)))
    }

    /// The row, for columns that change without an event while the run is in progress.
    fn progress(&self, ctx: &Context<'_>) -> &Model {
        if self.model.outcome.is_none() {
            holds_until(ctx, 0);
        }
        &self.model
    }
}

impl Parent for SyncRun {
    type Key = Uuid;

    fn key(&self) -> &Uuid {
        &self.model.id
    }

    fn batch(&self) -> &Batch<Uuid> {
        &self.relations.runs
    }
}

/// The runs that rows of other types refer to.
#[derive(PartialEq)]
pub struct RunById;

impl Relation for RunById {
    type Key = Uuid;
    type Value = SyncRun;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, SyncRun>, ApiError> {
        let models = api.instances.runs_by_ids(ids, api.wanted.runs).await?.into_values().collect();
        Ok(SyncRun::list(models).into_iter().map(|run| (run.model.id, run)).collect())
    }
}

/// One attempt to bring the users of an instance up to date, with its outcome and counts.
#[fields(rows)]
#[Object]
impl SyncRun {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode(Kind::SyncRun, self.model.id)
    }

    /// The instance whose users it reads.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Written<Instance>, ApiError> {
        InstanceById::of_row(&self.relations.instances, ctx, self.model.instance_id, "a run").await.map(Written)
    }

    /// Why it was started.
    fn trigger(&self) -> Trigger {
        self.model.trigger
    }

    /// How it ended; null while it is queued or running.
    fn outcome(&self) -> Option<Outcome> {
        self.model.outcome
    }

    /// When it was requested.
    fn queued_at(&self) -> DateTime<Utc> {
        date_time(self.model.queued_at)
    }

    /// When it started; null while it is queued, and if it was cancelled before it started.
    fn started_at(&self) -> Option<DateTime<Utc>> {
        self.model.started_at.map(date_time)
    }

    /// When it ended; null while it is queued or running.
    fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.model.finished_at.map(date_time)
    }

    /// The class of the error after which the run waits: for an outage to end, or before it checks a refused
    /// credential again. Null while it does not wait.
    #[columns(waiting_for, outcome)]
    fn waiting_for(&self, ctx: &Context<'_>) -> Option<FailureClass> {
        self.progress(ctx).waiting_for
    }

    /// Why it waits, for a person; null while it does not wait.
    #[columns(waiting_reason, outcome)]
    fn waiting_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        self.progress(ctx).waiting_reason.as_deref()
    }

    /// Until when it waits; null while it does not wait.
    #[columns(waiting_until, outcome)]
    fn waiting_until(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        self.progress(ctx).waiting_until.map(date_time)
    }

    /// How many users the application listed.
    #[columns(seen, outcome)]
    fn seen(&self, ctx: &Context<'_>) -> i32 {
        int(self.progress(ctx).seen)
    }

    /// How many of them are new, or came back.
    #[columns(added, outcome)]
    fn added(&self, ctx: &Context<'_>) -> i32 {
        int(self.progress(ctx).added)
    }

    /// How many of them changed. A later time of last activity alone is not counted.
    #[columns(changed, outcome)]
    fn changed(&self, ctx: &Context<'_>) -> i32 {
        int(self.progress(ctx).changed)
    }

    /// How many users the application no longer lists; 0 unless the run was completed.
    #[columns(removed, outcome)]
    fn removed(&self, ctx: &Context<'_>) -> i32 {
        int(self.progress(ctx).removed)
    }

    /// What failed, or which part is missing; null if nothing did.
    #[columns(failure_class, failure_message, http_status, lost, missing_permissions)]
    fn failure(&self) -> Option<SyncFailure> {
        SyncFailure::of(&self.model)
    }

    /// Whether the integration's connector has changed since the last complete sync. What it reads differently is
    /// then not recorded as changes, and the guards stop only an empty list.
    #[columns(new_baseline, outcome)]
    fn new_baseline(&self, ctx: &Context<'_>) -> bool {
        self.progress(ctx).new_baseline
    }

    /// A remark about a run that did not fail, such as that the application listed nobody; null if there is none.
    fn remark(&self) -> Option<&str> {
        self.model.remark.as_deref()
    }

    /// Whether a mail was sent about the outcome, and why; null while the run is queued or running.
    fn mail_decision(&self) -> Option<MailDecision> {
        self.model.mail_reason.map(|reason| MailDecision { kind: self.model.mail_kind, reason })
    }

    /// The users that it changed. The changes of old runs are removed; the counts stay.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects changes of one kind.")] kind: Option<ChangeKind>,
    ) -> Result<Written<UserChangeConnection>, ApiError> {
        Ok(Written(UserChangeConnection(connection::nested(ctx, self, ChangeList { kind }, first, after).await?)))
    }

    /// The users whom it has not seen, and would have removed if the removal guard had not refused it. They are still
    /// reported. Null unless the guard refused it, and if another run of the instance has ended since.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn would_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Option<Written<UserConnection>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let instance = self.relations.instances.load(api, InstanceById, &self.model.instance_id).await?;
        let is_last = instance.is_some_and(|instance| instance.model.last_run_id == Some(self.model.id));
        if !is_last || self.model.failure_class != Some(FailureClass::RemovalGuard) {
            return Ok(None);
        }
        Ok(Some(Written(UserConnection(connection::nested(ctx, self, LeaverList, first, after).await?))))
    }
}

/// What failed in a run, or which part of it is missing.
#[derive(SimpleObject, Fields)]
pub struct SyncFailure {
    /// The class of the failure. For a `PARTIAL` run, `PERMISSION` if a part was refused, else `CONFIG`.
    class: FailureClass,
    /// What happened, for a person.
    message: String,
    /// The HTTP status of the response that caused it, if there was one.
    http_status: Option<i32>,
    /// The parts of the list that could not be read. They keep their old data. With `USERS`, the list could not prove
    /// that it is complete: nobody was removed, and users who were not listed may still have an account.
    lost_capabilities: Vec<Capability>,
    /// The scopes, roles or rights that the application says are missing.
    missing_permissions: Vec<String>,
}

impl SyncFailure {
    fn of(run: &Model) -> Option<Self> {
        let class = run.failure_class?;
        let losses: Vec<Loss> = serde_json::from_value(run.lost.clone()).unwrap_or_default();
        Some(SyncFailure {
            class,
            message: run.failure_message.clone().unwrap_or_default(),
            http_status: run.http_status,
            lost_capabilities: losses
                .into_iter()
                .map(|loss| loss.capability)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            missing_permissions: missing_permissions(run),
        })
    }
}

/// Which mail was sent about the outcome of a run, or why none was.
#[derive(SimpleObject, Fields)]
pub struct MailDecision {
    /// The kind of the mail; null if the outcome called for none.
    kind: Option<NotificationKind>,
    /// Why it was sent, or not.
    reason: MailReason,
}
