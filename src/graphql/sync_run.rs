//! Sync runs: the history.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::notification::{MailReason, NotificationKind};
use entity::run::{FailureClass, Model, Outcome, Trigger};
use entity::user_change::Kind as ChangeKind;
use integration::source::{Capability, Loss};
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::{Siblings, regroup};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, Page, Total, connection, int};
use crate::graphql::user::UserChangeConnection;
use crate::instance::notice::missing_permissions;
use crate::instance::runs::history::{self, Filter};

/// One attempt to bring an instance's users up to date.
#[derive(Clone)]
pub struct SyncRun {
    pub model: Arc<Model>,
    pub(super) list: Arc<List>,
}

/// The runs of one list.
pub(super) struct List {
    pub runs: Siblings<Uuid>,
    instances: Siblings<Uuid>,
}

impl SyncRun {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<SyncRun> {
        let list = Arc::new(List {
            runs: Siblings::new(models.iter().map(|model| model.id)),
            instances: Siblings::new(models.iter().map(|model| model.instance_id)),
        });
        models.into_iter().map(|model| SyncRun { model: Arc::new(model), list: list.clone() }).collect()
    }

    /// A row that stands alone.
    pub fn one(model: Model) -> SyncRun {
        let list = List { runs: Siblings::new([model.id]), instances: Siblings::new([model.instance_id]) };
        SyncRun { model: Arc::new(model), list: Arc::new(list) }
    }
}

/// The instances of these ids, as rows of one list.
pub(super) async fn instances(
    ctx: &Context<'_>,
    siblings: &Siblings<Uuid>,
    id: &Uuid,
) -> Result<Option<Instance>, ApiError> {
    let api = ctx.data_unchecked::<Api>();
    let load = |ids: Vec<Uuid>| async move {
        let models = api.instances.by_ids(&ids).await?;
        Ok(Instance::list(models.into_values().collect()).into_iter().map(|row| (row.model.id, row)).collect())
    };
    siblings.load("instance".into(), id, load).await
}

/// One attempt to bring an instance's users up to date, with its outcome and counts.
#[Object]
impl SyncRun {
    /// The opaque, permanent id.
    pub async fn id(&self) -> ID {
        id::encode(Kind::SyncRun, self.model.id)
    }

    /// Whose users.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Instance, ApiError> {
        let found = instances(ctx, &self.list.instances, &self.model.instance_id).await?;
        found.ok_or_else(|| ApiError::hide(crate::error::Error::Internal("a run without an instance".into())))
    }

    /// Why it was started.
    async fn trigger(&self) -> Trigger {
        self.model.trigger
    }

    /// How it ended; null while it waits or goes on.
    async fn outcome(&self) -> Option<Outcome> {
        self.model.outcome
    }

    /// When it was asked for.
    async fn queued_at(&self) -> DateTime<Utc> {
        date_time(self.model.queued_at)
    }

    /// When it started; null while it waits, and when it was cancelled before.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.model.started_at.map(date_time)
    }

    /// When it ended; null while it waits or goes on.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.model.finished_at.map(date_time)
    }

    /// How many users the application listed.
    async fn seen(&self) -> i32 {
        int(self.model.seen)
    }

    /// How many of them are new, or came back.
    async fn added(&self) -> i32 {
        int(self.model.added)
    }

    /// How many of them differ from before. When somebody was last active does not count.
    async fn changed(&self) -> i32 {
        int(self.model.changed)
    }

    /// How many users are no longer listed; 0 unless the run was completed.
    async fn removed(&self) -> i32 {
        int(self.model.removed)
    }

    /// What went wrong, or which part is missing; null when nothing is.
    async fn failure(&self) -> Option<SyncFailure> {
        let class = self.model.failure_class?;
        let losses: Vec<Loss> = serde_json::from_value(self.model.lost.clone()).unwrap_or_default();
        Some(SyncFailure {
            class,
            message: self.model.failure_message.clone().unwrap_or_default(),
            http_status: self.model.http_status,
            lost_capabilities: losses.into_iter().map(|loss| loss.capability).collect(),
            missing_permissions: missing_permissions(&self.model),
        })
    }

    /// Which mail the outcome called for, or why none; null while it waits or goes on.
    async fn mail_decision(&self) -> Option<MailDecision> {
        self.model.mail_reason.map(|reason| MailDecision { kind: self.model.mail_kind, reason })
    }

    /// Which users it changed; none any more when it is so old that this was removed. The counts stay.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only changes of this kind.")] kind: Option<ChangeKind>,
    ) -> Result<UserChangeConnection, ApiError> {
        crate::graphql::user::changes_of_run(ctx, self, first, after, kind).await
    }
}

/// What went wrong in a run, or which part of it is missing.
#[derive(SimpleObject)]
pub struct SyncFailure {
    /// What kind of trouble it was; of a `PARTIAL` run always `PERMISSION`.
    class: FailureClass,
    /// What happened, for a person.
    message: String,
    /// The HTTP status of the answer that decided it, if there was one.
    http_status: Option<i32>,
    /// The optional parts of the list that were refused and keep their old data.
    lost_capabilities: Vec<Capability>,
    /// The scopes, roles or rights that the application says are missing.
    missing_permissions: Vec<String>,
}

/// Which mail a run's outcome called for, or why none.
#[derive(SimpleObject)]
pub struct MailDecision {
    /// The kind that was called for; null when none was.
    kind: Option<NotificationKind>,
    /// Why it was written, or not.
    reason: MailReason,
}

connection!(SyncRunConnection, SyncRunEdge, SyncRun, "sync runs");

/// Which runs. All that is given must hold.
#[derive(InputObject, Default)]
pub struct SyncRunFilter {
    /// Of this instance.
    instance_id: Option<ID>,
    /// Of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// With one of these outcomes; runs that go on have none.
    outcomes: Option<Vec<Outcome>>,
    /// Started for one of these reasons.
    triggers: Option<Vec<Trigger>>,
    /// Started at this time or later.
    started_after: Option<DateTime<Utc>>,
    /// Started before this time.
    started_before: Option<DateTime<Utc>>,
}

impl SyncRunFilter {
    fn decode(self) -> Result<Filter, ApiError> {
        let SyncRunFilter { instance_id, integration_keys, outcomes, triggers, started_after, started_before } = self;
        let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
        let integration_keys = page::bounded(integration_keys, "integrationKeys")?;
        Ok(Filter {
            instance_id,
            integration_keys,
            outcomes,
            triggers,
            started_after: started_after.map(|at| at.timestamp_millis()),
            started_before: started_before.map(|at| at.timestamp_millis()),
        })
    }
}

fn connect(runs: Vec<SyncRun>, size: usize, after: Option<&str>, total: Total) -> SyncRunConnection {
    let rows = runs.into_iter().map(|run| (page::encode("runs", &run.model.id), run)).collect();
    SyncRunConnection(Page::new(rows, size, after, total))
}

pub(super) async fn of_instance(
    ctx: &Context<'_>,
    instance: &Instance,
    first: Option<i32>,
    after: Option<String>,
    filter: Option<SyncRunFilter>,
) -> Result<SyncRunConnection, ApiError> {
    let api = ctx.data_unchecked::<Api>().clone();
    let size = page::size(first)?;
    let start: Option<Uuid> = page::decode("runs", after.as_deref())?;
    let filter = filter.unwrap_or_default().decode()?;
    let (list, id) = (instance.list.clone(), instance.model.id);
    let name = format!("runs {start:?} {size} {filter:?}");
    let runs: Option<Vec<SyncRun>> = list
        .instances
        .load(name, &id, |ids| {
            let (api, filter) = (api.clone(), filter.clone());
            async move {
                let pages = history::pages_by_instance(api.instances.db.read(), &ids, &filter, start, size as u64 + 1);
                Ok(regroup(pages.await?, SyncRun::list))
            }
        })
        .await?;
    let total: Total = Arc::new(move || {
        let (api, list, filter) = (api.clone(), list.clone(), filter.clone());
        Box::pin(async move {
            let count = list.instances.load(format!("runs total {filter:?}"), &id, |ids| async move {
                Ok(history::count_by_instance(api.instances.db.read(), &ids, &filter).await?)
            });
            Ok(count.await?.unwrap_or(0))
        })
    });
    Ok(connect(runs.unwrap_or_default(), size, after.as_deref(), total))
}

#[derive(Default)]
pub struct SyncRunQuery;

#[Object]
impl SyncRunQuery {
    /// The runs of all instances, newest first, as far back as the server keeps them; the last one of an instance always.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn sync_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<SyncRunFilter>,
    ) -> Result<SyncRunConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>().clone();
        let size = page::size(first)?;
        let start: Option<Uuid> = page::decode("runs", after.as_deref())?;
        let filter = filter.unwrap_or_default().decode()?;
        let models = history::page(api.instances.db.read(), &filter, start, size as u64 + 1).await?;
        let total: Total = Arc::new(move || {
            let (api, filter) = (api.clone(), filter.clone());
            Box::pin(async move { Ok(history::count(api.instances.db.read(), &filter).await?) })
        });
        Ok(connect(SyncRun::list(models), size, after.as_deref(), total))
    }

    /// One run; null when there is none of that id, or it is so old that it was removed.
    async fn sync_run(&self, ctx: &Context<'_>, #[graphql(desc = "The run's id.")] id: ID) -> Option<SyncRun> {
        let found = async {
            let id = id::argument(Kind::SyncRun, &id)?;
            let found = ctx.data_unchecked::<Api>().instances.runs_by_ids(&[id]).await?;
            Ok(found.into_values().next().map(SyncRun::one))
        };
        let found = found.await;
        nullable(ctx, found)
    }
}
