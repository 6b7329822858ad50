//! Instances: the type, its lists and events, and a file for each mutation.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::instance::{Health, InactiveReason, Model, Status, SyncState};
use uuid::Uuid;

use self::capability::{CapabilityState, CapabilityStates};
use self::config::ConfigValue;
use self::delivery::{LastDeliveries, ListDelivery};
use self::event::{EventList, InstanceEventConnection};
use self::notice::{Freshness, Notice};
use super::answers::holds_until;
use super::api::Api;
use super::batch::{Batch, Relation};
use super::connection;
use super::error::{ApiError, nullable};
use super::finding::posture::{Posture, PostureOf};
use super::id::{self, Kind};
use super::integration::Integration;
use super::list::Parent;
use super::page::{self, int};
use super::sync_run::list::{RunList, SyncRunConnection, SyncRunFilter};
use super::sync_run::{RunById, SyncRun};
use super::user::list::{UserConnection, UserFilter, UserList, UserOrder};
use super::written::{Rows, Written, fields};
use crate::clock::date_time;
use crate::error::Error;
use crate::instance::event::Snapshot;
use crate::instance::standing::{self, Headline, Standing};
use crate::instance::{credential_expiry, freshness, notice as notices};

pub mod begin_authorization;
pub mod cancel_sync;
mod capability;
pub mod config;
mod conflict;
pub mod counts;
pub mod create;
pub mod delete;
pub mod delete_all_users;
mod delivery;
pub mod event;
pub mod event_log;
pub mod list;
pub mod notice;
pub mod state_changed;
pub mod sync;
pub mod test_connection;
pub mod update;

#[derive(Clone)]
pub struct Instance {
    pub model: Arc<Model>,
    relations: Arc<Relations>,
    /// The last and the current run as an event shows them; otherwise they are fetched.
    runs: Option<Arc<(Option<SyncRun>, Option<SyncRun>)>>,
}

/// Shared by the instances of one list.
struct Relations {
    instances: Batch<Uuid>,
    integrations: Arc<Batch<String>>,
    runs: Batch<Uuid>,
}

impl Relations {
    fn of(models: &[Model]) -> Arc<Self> {
        let runs = models.iter().flat_map(|model| model.last_run_id.into_iter().chain(model.current_run_id));
        Arc::new(Relations {
            instances: Batch::new(models.iter().map(|model| model.id)),
            integrations: Arc::new(Batch::new(models.iter().map(|model| model.integration_key.clone()))),
            runs: Batch::new(runs),
        })
    }
}

impl Instance {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<Instance> {
        let relations = Relations::of(&models);
        let row = |model| Instance { model: Arc::new(model), relations: relations.clone(), runs: None };
        models.into_iter().map(row).collect()
    }

    /// A single row, which is not part of a list.
    pub fn one(model: Model) -> Instance {
        let relations = Relations::of(std::slice::from_ref(&model));
        Instance { model: Arc::new(model), relations, runs: None }
    }

    /// Rows as events show them, with the runs of that moment.
    pub fn list_of_snapshots(snapshots: Vec<Snapshot>) -> Vec<Instance> {
        let mut models = Vec::with_capacity(snapshots.len());
        let mut held = Vec::with_capacity(snapshots.len());
        let mut runs = Vec::new();
        for Snapshot { instance, last_run, current_run, before: _, stood: _ } in snapshots {
            models.push(instance);
            held.push((last_run.is_some(), current_run.is_some()));
            runs.extend(last_run.into_iter().chain(current_run));
        }
        let mut runs = SyncRun::list(runs).into_iter();
        let mut take = |held: bool| held.then(|| runs.next()).flatten();
        let held = held.into_iter().map(|(last, current)| Arc::new((take(last), take(current))));
        Instance::list(models).into_iter().zip(held).map(|(row, runs)| Instance { runs: Some(runs), ..row }).collect()
    }

    /// The instance with this id.
    pub async fn find(api: &Api, id: &ID) -> Result<Option<Instance>, ApiError> {
        let id = id::argument(Kind::Instance, id)?;
        let found = api.instances.by_ids(&[id], api.wanted.instances).await?.into_values().next();
        let seen = |model: &Model| api.seen.as_ref().is_none_or(|scope| scope.has(&model.integration_key, model.id));
        Ok(found.filter(seen).map(Instance::one))
    }

    async fn last_run(&self, api: &Api) -> Result<Option<SyncRun>, ApiError> {
        match &self.runs {
            Some(runs) => Ok(runs.0.clone()),
            None => self.run(api, self.model.last_run_id).await,
        }
    }

    async fn current_run(&self, api: &Api) -> Result<Option<SyncRun>, ApiError> {
        match &self.runs {
            Some(runs) => Ok(runs.1.clone()),
            None => self.run(api, self.model.current_run_id).await,
        }
    }

    async fn run(&self, api: &Api, id: Option<Uuid>) -> Result<Option<SyncRun>, ApiError> {
        match id {
            Some(id) => self.relations.runs.load(api, RunById, &id).await,
            None => Ok(None),
        }
    }
}

impl Parent for Instance {
    type Key = Uuid;

    fn key(&self) -> &Uuid {
        &self.model.id
    }

    fn batch(&self) -> &Batch<Uuid> {
        &self.relations.instances
    }
}

/// The instances that rows of other types belong to.
#[derive(PartialEq)]
pub struct InstanceById;

impl Relation for InstanceById {
    type Key = Uuid;
    type Value = Instance;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, Instance>, ApiError> {
        let models = api.instances.by_ids(ids, api.wanted.instances).await?.into_values().collect();
        Ok(Instance::list(models).into_iter().map(|instance| (instance.model.id, instance)).collect())
    }
}

impl InstanceById {
    /// The instance of a row that always has one. `row` names the row in the error.
    pub async fn of_row(instances: &Batch<Uuid>, ctx: &Context<'_>, id: Uuid, row: &str) -> Result<Instance, ApiError> {
        let found = instances.load(ctx.data_unchecked::<Api>(), InstanceById, &id).await?;
        found.ok_or_else(|| Error::Internal(format!("{row} without an instance").into()).into())
    }
}

/// One connection of an application. An integration may have several instances.
#[fields(rows)]
#[Object]
impl Instance {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode(Kind::Instance, self.model.id)
    }

    /// The application that it connects.
    async fn integration(&self) -> Written<Integration> {
        Written(Integration::beside(self.model.integration_key.clone(), self.relations.integrations.clone()))
    }

    /// The name that members gave it; unique among instances that are not deleted.
    fn name(&self) -> &str {
        &self.model.name
    }

    /// Whether it is supposed to be synced.
    fn status(&self) -> Status {
        self.model.status
    }

    /// Why it is not synced; set if and only if `status` is `INACTIVE`.
    fn inactive_reason(&self) -> Option<InactiveReason> {
        self.model.inactive_reason
    }

    /// Whether a run is queued or running.
    fn sync_state(&self) -> SyncState {
        self.model.sync_state
    }

    /// Whether its last completed run succeeded.
    fn health(&self) -> Health {
        self.model.health
    }

    /// Its state in one word, from its status, its health and what its last completed run was refused for.
    #[columns(status, inactive_reason, health, failure_class)]
    fn headline(&self) -> Headline {
        Headline::of(&self.model)
    }

    /// Whether somebody should look at it: its headline is `REVOKED`, `HELD`, `FAILING` or `PARTIAL`; or it is live,
    /// and its users are stale, or its last completed run succeeded and it reports no user, or its credential expires
    /// within two weeks. An instance that a member has switched off does not need attention.
    #[columns(
        status,
        inactive_reason,
        inactive_since,
        health,
        failure_class,
        last_success_at,
        sync_interval_minutes,
        user_count,
        credential_expires_at
    )]
    fn needs_attention(&self, ctx: &Context<'_>) -> bool {
        let now = ctx.data_unchecked::<Api>().instances.clock.now();
        if let Some(change) = standing::changes_at(&self.model, now) {
            holds_until(ctx, change);
        }
        Standing::of(&self.model, now).needs_attention
    }

    /// When the first of the consecutive failures was; null unless `health` is `FAILING`.
    fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.model.failing_since.map(date_time)
    }

    /// Whether its users are up to date, and as of when.
    #[columns(last_success_at, sync_interval_minutes, inactive_since)]
    fn freshness(&self, ctx: &Context<'_>) -> Freshness {
        let now = ctx.data_unchecked::<Api>().instances.clock.now();
        if let Some(change) = freshness::changes_at(&self.model, now) {
            holds_until(ctx, change);
        }
        Freshness::of(freshness::Freshness::of(&self.model, now))
    }

    /// When each capability was last read, in a fixed order, including those that the integration does not provide.
    async fn capability_states(&self, ctx: &Context<'_>) -> Result<Rows<Vec<CapabilityState>>, ApiError> {
        let found = self.relations.instances.load(ctx.data_unchecked(), CapabilityStates, &self.model.id).await?;
        Ok(Rows(found.unwrap_or_default()))
    }

    /// A problem that somebody should know about, and what would help; null if there is none.
    async fn notice(&self, ctx: &Context<'_>) -> Option<Written<Notice>> {
        let api = ctx.data_unchecked::<Api>();
        let last = nullable(ctx, self.last_run(api).await);
        let last = last.as_ref().map(|run| run.model.as_ref());
        let (instances, now) = (&api.instances, api.instances.clock.now());
        if let Some(change) = credential_expiry::changes_at(&self.model, now) {
            holds_until(ctx, change);
        }
        notices::notice_of(&self.model, instances.about(&self.model), last, now)
            .map(|notice| Written(Notice::of(notice)))
    }

    /// When its credential expires, if the application says so; `notice` warns two weeks before.
    fn credential_expires_at(&self) -> Option<DateTime<Utc>> {
        self.model.credential_expires_at.map(date_time)
    }

    /// Who created it: the e-mail address of a member, or the name of a token.
    fn created_by(&self) -> &str {
        &self.model.created_by
    }

    /// When it was created.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When anything about it changed last.
    fn updated_at(&self) -> DateTime<Utc> {
        date_time(self.model.updated_at)
    }

    /// The number of changes that members made to its name, status, configuration and interval. Syncs do not change it.
    fn revision(&self) -> i32 {
        self.model.revision
    }

    /// Its configuration, without the values of secrets.
    fn config(&self, ctx: &Context<'_>) -> Vec<ConfigValue> {
        ConfigValue::of_instance(&self.model, &ctx.data_unchecked::<Api>().instances.catalog)
    }

    /// The time between two scheduled runs, in minutes. Of the integration `list`, how often a list is delivered.
    fn sync_interval_minutes(&self) -> i32 {
        self.model.sync_interval_minutes
    }

    /// The list that was delivered last. Only instances of the integration `list` have one; others are null.
    async fn last_delivery(&self, ctx: &Context<'_>) -> Result<Option<Written<ListDelivery>>, ApiError> {
        let found = self.relations.instances.load(ctx.data_unchecked(), LastDeliveries, &self.model.id).await?;
        Ok(found.map(Written))
    }

    /// When the next scheduled run is due; null while a run is queued or running, if the instance is not live, and if
    /// its first list was not delivered yet. Of the integration `list`, this is when the next list is overdue.
    fn next_sync_at(&self) -> Option<DateTime<Utc>> {
        self.model.next_sync_at.map(date_time)
    }

    /// When the server tries the credential again by itself, after it set the instance inactive because of a refusal
    /// without a reason; null if it does not.
    fn next_try_at(&self) -> Option<DateTime<Utc>> {
        self.model.next_try_at.map(date_time)
    }

    /// How its accounts stand.
    async fn posture(&self, ctx: &Context<'_>) -> Result<Posture, ApiError> {
        let found = self.relations.instances.load(ctx.data_unchecked(), PostureOf, &self.model.id).await?;
        Ok(found.unwrap_or_default())
    }

    /// The number of users that it reports, as of its last run.
    fn user_count(&self) -> i32 {
        int(self.model.user_count)
    }

    /// The run that ended last, whatever its outcome; null if none has ended.
    async fn last_sync(&self, ctx: &Context<'_>) -> Option<Written<SyncRun>> {
        nullable(ctx, self.last_run(ctx.data_unchecked()).await).map(Written)
    }

    /// The run that is queued or running; null if there is none.
    async fn current_sync(&self, ctx: &Context<'_>) -> Option<Written<SyncRun>> {
        nullable(ctx, self.current_run(ctx.data_unchecked()).await).map(Written)
    }

    /// Its runs that the server still has, the newest first. The last one is always kept.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn sync_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects runs.")] filter: Option<SyncRunFilter>,
    ) -> Result<Written<SyncRunConnection>, ApiError> {
        Ok(Written(SyncRunConnection(
            connection::nested(ctx, self, RunList::new(ctx.data_unchecked(), filter)?, first, after).await?,
        )))
    }

    /// Its users, in the order in which they were first seen, unless `orderBy` says otherwise.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects users.")] filter: Option<UserFilter>,
        #[graphql(desc = "The order of the users; without a search.")] order_by: Option<UserOrder>,
    ) -> Result<Written<UserConnection>, ApiError> {
        Ok(Written(UserConnection(
            connection::nested(ctx, self, UserList::new(ctx.data_unchecked(), filter, order_by)?, first, after).await?,
        )))
    }

    /// Its events that the log still has, the newest first.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<InstanceEventConnection>, ApiError> {
        Ok(Written(InstanceEventConnection(connection::nested(ctx, self, EventList, first, after).await?)))
    }
}
