//! Mails: the ledger, and the test mail.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::notification::{Model, NotificationKind, NotificationState};
use uuid::Uuid;

use crate::auth::Caller;
use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::Siblings;
use crate::graphql::error::{ApiError, nullable, settle};
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, Page, Total, connection};
use crate::graphql::sync_run::{self, SyncRun};
use crate::graphql::user_error::{UserError, user_errors};
use crate::notification::history::{self, Filter};

/// One mail to one address.
#[derive(Clone)]
pub struct Notification {
    pub model: Arc<Model>,
    list: Arc<List>,
}

struct List {
    instances: Siblings<Uuid>,
    runs: Siblings<Uuid>,
}

impl Notification {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<Notification> {
        let list = Arc::new(List {
            instances: Siblings::new(models.iter().filter_map(|model| model.instance_id)),
            runs: Siblings::new(models.iter().filter_map(|model| model.run_id)),
        });
        models.into_iter().map(|model| Notification { model: Arc::new(model), list: list.clone() }).collect()
    }
}

/// One mail to one address about one event, and what became of it.
#[Object]
impl Notification {
    /// The opaque, permanent id.
    pub async fn id(&self) -> ID {
        id::encode(Kind::Notification, self.model.id)
    }

    /// What it tells.
    async fn kind(&self) -> NotificationKind {
        self.model.kind
    }

    /// What became of it.
    async fn state(&self) -> NotificationState {
        self.model.state
    }

    /// To whom.
    async fn address(&self) -> &str {
        &self.model.address
    }

    /// Its subject line.
    async fn subject(&self) -> &str {
        &self.model.subject
    }

    /// The instance it is about; null for a test mail, and when the instance was deleted so long ago that it is forgotten.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Instance> {
        let id = self.model.instance_id?;
        let found = sync_run::instances(ctx, &self.list.instances, &id).await;
        nullable(ctx, found)
    }

    /// The run it is about; null for a test mail, and when the run is so old that it was removed.
    async fn run(&self, ctx: &Context<'_>) -> Option<SyncRun> {
        let id = self.model.run_id?;
        let api = ctx.data_unchecked::<Api>();
        let load = |ids: Vec<Uuid>| async move {
            let models = api.instances.runs_by_ids(&ids).await?;
            Ok(SyncRun::list(models.into_values().collect()).into_iter().map(|run| (run.model.id, run)).collect())
        };
        let found = self.list.runs.load("run".into(), &id, load).await;
        nullable(ctx, found)
    }

    /// How often it was offered to the mail server.
    async fn attempts(&self) -> i32 {
        self.model.attempts
    }

    /// What the last attempt that failed met, or why it was dropped.
    async fn last_error(&self) -> Option<&str> {
        self.model.last_error.as_deref()
    }

    /// When it was decided on.
    async fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When the mail server took it; null until then.
    async fn sent_at(&self) -> Option<DateTime<Utc>> {
        self.model.sent_at.map(date_time)
    }
}

connection!(NotificationConnection, NotificationEdge, Notification, "mails");

/// Which mails. All that is given must hold.
#[derive(InputObject, Default)]
pub struct NotificationFilter {
    /// About this instance.
    instance_id: Option<ID>,
    /// Of one of these kinds.
    kinds: Option<Vec<NotificationKind>>,
    /// In one of these states.
    states: Option<Vec<NotificationState>>,
}

#[derive(Default)]
pub struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// The ledger of mails, newest first, as far back as the server keeps it.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<NotificationFilter>,
    ) -> Result<NotificationConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>().clone();
        let size = page::size(first)?;
        let start: Option<Uuid> = page::decode("notifications", after.as_deref())?;
        let NotificationFilter { instance_id, kinds, states } = filter.unwrap_or_default();
        let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
        let filter = Filter { instance_id, kinds, states };
        let models = history::page(api.instances.db.read(), &filter, start, size as u64 + 1).await?;
        let rows = Notification::list(models)
            .into_iter()
            .map(|mail| (page::encode("notifications", &mail.model.id), mail))
            .collect();
        let total: Total = Arc::new(move || {
            let (api, filter) = (api.clone(), filter.clone());
            Box::pin(async move { Ok(history::count(api.instances.db.read(), &filter).await?) })
        });
        Ok(NotificationConnection(Page::new(rows, size, after.as_deref(), total)))
    }
}

/// Where to send a test mail.
#[derive(InputObject)]
pub struct SendTestMailInput {
    /// One address.
    address: String,
}

/// What became of `sendTestMail`.
#[derive(SimpleObject)]
pub struct SendTestMailPayload {
    /// The mail; still `QUEUED` when the mail server takes longer than 20 seconds. Null when the address was refused.
    notification: Option<Notification>,
    /// Why it was not sent; empty when it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Sends a mail to one address, once, and answers what the mail server said.
    async fn send_test_mail(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Where to send it.")] input: SendTestMailInput,
    ) -> Result<SendTestMailPayload, ApiError> {
        let SendTestMailInput { address } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let one = |model| Notification::list(vec![model]).pop();
        Ok(match settle(api.test_mail.send(&caller.label(), &address).await)? {
            Ok((model, None)) => SendTestMailPayload { notification: one(model), user_errors: Vec::new() },
            Ok((model, Some(refusal))) => {
                SendTestMailPayload { notification: one(model), user_errors: user_errors(vec![refusal]) }
            }
            Err(refusals) => SendTestMailPayload { notification: None, user_errors: user_errors(refusals) },
        })
    }
}
