//! Instances: the type, its lists, and a file per mutation.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::instance::{Health, InactiveReason, Model, Status, SyncState};
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::Siblings;
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::event::InstanceEventConnection;
use crate::graphql::integration::Integration;
use crate::graphql::page::{self, int};
use crate::graphql::sync_run::{SyncRun, SyncRunConnection, SyncRunFilter};
use crate::graphql::user::{UserConnection, UserFilter};
use crate::instance::event::Snapshot;
use crate::instance::freshness::{self, FreshnessState};
use crate::instance::notice::{self, Severity};

pub mod begin_authorization;
pub mod cancel_sync;
pub mod connection;
pub mod create;
pub mod delete;
pub mod delete_all_users;
pub mod event;
pub mod sync;
pub mod test_connection;
pub mod update;

/// One connection of an application.
#[derive(Clone)]
pub struct Instance {
    pub model: Arc<Model>,
    pub(super) list: Arc<List>,
    /// The runs as an event shows them; otherwise they are looked up.
    runs: Option<Arc<Runs>>,
}

type Runs = (Option<SyncRun>, Option<SyncRun>);

/// The instances of one list.
pub(super) struct List {
    pub instances: Siblings<Uuid>,
    integrations: Arc<Siblings<String>>,
    runs: Siblings<Uuid>,
}

impl Instance {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<Instance> {
        let list = List::of(&models);
        models.into_iter().map(|model| Instance { model: Arc::new(model), list: list.clone(), runs: None }).collect()
    }

    /// A row that stands alone.
    pub fn one(model: Model) -> Instance {
        let list = List::of(std::slice::from_ref(&model));
        Instance { model: Arc::new(model), list, runs: None }
    }

    /// As events show them, with the runs of that moment.
    pub fn list_of_snapshots(snapshots: Vec<Snapshot>) -> Vec<Instance> {
        let mut models = Vec::with_capacity(snapshots.len());
        let mut held = Vec::with_capacity(snapshots.len());
        let mut runs = Vec::new();
        for Snapshot { instance, last_run, current_run, before: _ } in snapshots {
            models.push(instance);
            held.push((last_run.is_some(), current_run.is_some()));
            runs.extend(last_run.into_iter().chain(current_run));
        }
        let mut runs = SyncRun::list(runs).into_iter();
        let mut take = |held: bool| held.then(|| runs.next()).flatten();
        let held = held.into_iter().map(|(last, current)| Arc::new((take(last), take(current))));
        Instance::list(models).into_iter().zip(held).map(|(row, runs)| Instance { runs: Some(runs), ..row }).collect()
    }

    async fn last_run(&self, ctx: &Context<'_>) -> Result<Option<SyncRun>, ApiError> {
        match &self.runs {
            Some(runs) => Ok(runs.0.clone()),
            None => self.list.run(ctx, self.model.last_run_id).await,
        }
    }

    async fn current_run(&self, ctx: &Context<'_>) -> Result<Option<SyncRun>, ApiError> {
        match &self.runs {
            Some(runs) => Ok(runs.1.clone()),
            None => self.list.run(ctx, self.model.current_run_id).await,
        }
    }
}

impl List {
    fn of(models: &[Model]) -> Arc<Self> {
        Arc::new(List {
            instances: Siblings::new(models.iter().map(|model| model.id)),
            integrations: Arc::new(Siblings::new(models.iter().map(|model| model.integration_key.clone()))),
            runs: Siblings::new(
                models.iter().flat_map(|model| model.last_run_id.into_iter().chain(model.current_run_id)),
            ),
        })
    }

    async fn run(&self, ctx: &Context<'_>, id: Option<Uuid>) -> Result<Option<SyncRun>, ApiError> {
        let Some(id) = id else { return Ok(None) };
        let api = ctx.data_unchecked::<Api>();
        let load = |ids: Vec<Uuid>| async move {
            let models = api.instances.runs_by_ids(&ids).await?;
            Ok(SyncRun::list(models.into_values().collect()).into_iter().map(|run| (run.model.id, run)).collect())
        };
        self.runs.load("run".into(), &id, load).await
    }
}

/// One connection of an application. Several instances of one integration may exist.
#[Object]
impl Instance {
    /// The opaque, permanent id.
    pub async fn id(&self) -> ID {
        id::encode(Kind::Instance, self.model.id)
    }

    /// The application that it connects.
    async fn integration(&self) -> Integration {
        Integration { key: self.model.integration_key.clone(), list: self.list.integrations.clone() }
    }

    /// The name that members gave it; unique among instances that are not deleted.
    async fn name(&self) -> &str {
        &self.model.name
    }

    /// Whether it is meant to be synced.
    async fn status(&self) -> Status {
        self.model.status
    }

    /// Why it is not synced; set exactly when `status` is `INACTIVE`.
    async fn inactive_reason(&self) -> Option<InactiveReason> {
        self.model.inactive_reason
    }

    /// What the sync engine is doing for it.
    async fn sync_state(&self) -> SyncState {
        self.model.sync_state
    }

    /// How its last completed run ended.
    async fn health(&self) -> Health {
        self.model.health
    }

    /// When the first of the failures in a row was; null unless `health` is `FAILING`.
    async fn failing_since(&self) -> Option<DateTime<Utc>> {
        self.model.failing_since.map(date_time)
    }

    /// Whether its users can be believed, and as of when.
    async fn freshness(&self, ctx: &Context<'_>) -> Freshness {
        let now = ctx.data_unchecked::<Api>().instances.clock.now();
        let freshness::Freshness { state, as_of, stale_since } = freshness::Freshness::of(&self.model, now);
        Freshness { state, as_of: as_of.map(date_time), stale_since: stale_since.map(date_time) }
    }

    /// What somebody should know and do; null when all is well.
    async fn notice(&self, ctx: &Context<'_>) -> Option<Notice> {
        let instances = &ctx.data_unchecked::<Api>().instances;
        let last = nullable(ctx, self.last_run(ctx).await);
        let last = last.as_ref().map(|run| run.model.as_ref());
        notice::notice_of(&self.model, instances.about(&self.model), last, instances.clock.now()).map(Notice::of)
    }

    /// When its credential ends, if the application tells; `notice` warns two weeks ahead.
    async fn credential_expires_at(&self) -> Option<DateTime<Utc>> {
        self.model.credential_expires_at.map(date_time)
    }

    /// The address of the member who created it, or the name of the token.
    async fn created_by(&self) -> &str {
        &self.model.created_by
    }

    /// When it was created.
    async fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When anything about it changed last.
    async fn updated_at(&self) -> DateTime<Utc> {
        date_time(self.model.updated_at)
    }

    /// Counts the changes of name, status, configuration and interval that members made; syncs do not move it.
    async fn revision(&self) -> i32 {
        self.model.revision
    }

    /// Its configuration, secrets hidden.
    async fn config(&self, ctx: &Context<'_>) -> Vec<ConfigValue> {
        let values = self.model.config.as_object().cloned().unwrap_or_default();
        let Some(entry) = ctx.data_unchecked::<Api>().instances.catalog.find(&self.model.integration_key) else {
            return Vec::new();
        };
        // A secret that was destroyed with its instance is not set any more.
        let destroyed = matches!(self.model.status, Status::Deleting | Status::Deleted);
        let value = |field: &integration::manifest::config::ConfigField| {
            let stored = values.get(&field.key);
            ConfigValue {
                key: field.key.clone(),
                value: stored.and_then(|value| value.as_str().map(str::to_owned)),
                is_set: stored.is_some_and(|value| value.is_string() || !destroyed),
            }
        };
        entry.fields.iter().map(value).collect()
    }

    /// How often it is synced, in minutes.
    async fn sync_interval_minutes(&self) -> i32 {
        self.model.sync_interval_minutes
    }

    /// When the next scheduled run is due; null while a run is active, and when it is not live.
    async fn next_sync_at(&self) -> Option<DateTime<Utc>> {
        self.model.next_sync_at.map(date_time)
    }

    /// How many users it reports, as of its last run.
    async fn user_count(&self) -> i32 {
        int(self.model.user_count)
    }

    /// The run that ended last, whatever its outcome; null when none has ended.
    async fn last_sync(&self, ctx: &Context<'_>) -> Option<SyncRun> {
        let run = self.last_run(ctx).await;
        nullable(ctx, run)
    }

    /// The run that waits or goes on; null when there is none.
    async fn current_sync(&self, ctx: &Context<'_>) -> Option<SyncRun> {
        let run = self.current_run(ctx).await;
        nullable(ctx, run)
    }

    /// Its runs, newest first, as far back as the server keeps them; the last one always.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn sync_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<SyncRunFilter>,
    ) -> Result<SyncRunConnection, ApiError> {
        crate::graphql::sync_run::of_instance(ctx, self, first, after, filter).await
    }

    /// Its users, in the order in which they were first seen.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<UserFilter>,
    ) -> Result<UserConnection, ApiError> {
        crate::graphql::user::of_instance(ctx, self, first, after, filter).await
    }

    /// What happened to it, newest first, as far back as the log is kept.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
    ) -> Result<InstanceEventConnection, ApiError> {
        crate::graphql::instance::event::of_instance(ctx, self, first, after).await
    }
}

/// One value of an instance's configuration. Secrets are write-only.
#[derive(SimpleObject)]
pub struct ConfigValue {
    /// The field's key.
    key: String,
    /// The value; null for a secret, and for a field that is not set.
    value: Option<String>,
    /// Whether a value is stored.
    is_set: bool,
}

/// A value for one field of a configuration.
#[derive(InputObject)]
pub struct ConfigValueInput {
    /// The field's key, as `Integration.configFields` names it.
    key: String,
    /// The value; an empty one clears the field.
    value: String,
}

pub(super) fn config_pairs(values: Vec<ConfigValueInput>) -> Vec<(String, String)> {
    values.into_iter().map(|ConfigValueInput { key, value }| (key, value)).collect()
}

/// Whether an instance's users can be believed.
#[derive(SimpleObject)]
pub struct Freshness {
    /// In one word.
    state: FreshnessState,
    /// When the last successful run finished; null when none has.
    as_of: Option<DateTime<Utc>>,
    /// Since when the users are stale; null unless they are.
    stale_since: Option<DateTime<Utc>>,
}

/// What somebody should know about an instance, and what would help.
#[derive(SimpleObject)]
pub struct Notice {
    /// How urgent it is.
    severity: Severity,
    /// A few words.
    title: String,
    /// What happened and what it means, for a person.
    detail: String,
    /// Since when it is so.
    since: DateTime<Utc>,
    /// What would help, in order.
    remedies: Vec<Remedy>,
}

/// Something that would help.
#[derive(SimpleObject)]
pub struct Remedy {
    /// What to do, for a person.
    label: String,
    /// The field of `Mutation` that does it; null where a person must act in the other application.
    mutation: Option<String>,
}

impl Notice {
    fn of(notice: notice::Notice) -> Self {
        let notice::Notice { severity, title, detail, since, remedies } = notice;
        let remedies = remedies
            .into_iter()
            .map(|notice::Remedy { label, mutation }| Remedy { label, mutation: mutation.map(str::to_owned) })
            .collect();
        Notice { severity, title, detail, since: date_time(since), remedies }
    }
}
