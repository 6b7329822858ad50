//! Mails: the list of those that were sent or are to be sent, and the test mail.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::notification::{Model, NotificationKind, NotificationState};
use uuid::Uuid;

use super::api::Api;
use super::batch::{Batch, regroup};
use super::budget::Budget;
use super::connection::{self, connection};
use super::error::{ApiError, nullable};
use super::id::{self, Kind};
use super::instance::list::InstanceConnection;
use super::instance::{Instance, InstanceById};
use super::list::{List, NestedList, PageRows, Parent, RootList};
use super::page;
use super::sync_run::{RunById, SyncRun};
use super::user_error::{UserError, split_refusals};
use super::written::{Written, fields};
use crate::clock::date_time;
use crate::db::Total;
use crate::notification::history::{self, Filter};

#[derive(Clone)]
pub struct Notification {
    model: Arc<Model>,
    relations: Arc<Relations>,
}

/// Shared by the mails of one list.
struct Relations {
    instances: Batch<Uuid>,
    runs: Batch<Uuid>,
    mails: Batch<Uuid>,
}

impl Notification {
    /// Rows of one list.
    fn list(models: Vec<Model>) -> Vec<Notification> {
        let relations = Arc::new(Relations {
            instances: Batch::new(models.iter().filter_map(|model| model.instance_id)),
            runs: Batch::new(models.iter().filter_map(|model| model.run_id)),
            mails: Batch::new(models.iter().map(|model| model.id)),
        });
        models.into_iter().map(|model| Notification { model: Arc::new(model), relations: relations.clone() }).collect()
    }

    /// A single row, which is not part of a list.
    pub fn one(model: Model) -> Notification {
        let relations = Relations {
            instances: Batch::new(model.instance_id),
            runs: Batch::new(model.run_id),
            mails: Batch::new([model.id]),
        };
        Notification { model: Arc::new(model), relations: Arc::new(relations) }
    }
}

impl Parent for Notification {
    type Key = Uuid;

    fn key(&self) -> &Uuid {
        &self.model.id
    }

    fn batch(&self) -> &Batch<Uuid> {
        &self.relations.mails
    }
}

/// One mail to one address about one event, and whether it was sent.
#[fields]
#[Object]
impl Notification {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode(Kind::Notification, self.model.id)
    }

    /// What the mail is about.
    fn kind(&self) -> NotificationKind {
        self.model.kind
    }

    /// Whether it was sent.
    fn state(&self) -> NotificationState {
        self.model.state
    }

    /// The address that it is sent to.
    fn address(&self) -> &str {
        &self.model.address
    }

    /// Its subject line. A token that is limited to some instances does not learn how many others a mail reports.
    fn subject(&self, ctx: &Context<'_>) -> String {
        let subject = self.model.subject.as_str();
        let is_limited = ctx.data_unchecked::<Api>().seen.is_some();
        match subject.split_once(' ').filter(|_| is_limited && self.model.stands_for.is_some()) {
            Some((_count, rest)) => format!("Several {rest}"),
            None => subject.to_owned(),
        }
    }

    /// The instance that it is about. Null for a test mail, and when the instance was deleted so
    /// long ago that the server no longer has it.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let id = self.model.instance_id?;
        nullable(ctx, self.relations.instances.load(ctx.data_unchecked::<Api>(), InstanceById, &id).await).map(Written)
    }

    /// The instances that it reports, without those that the server no longer has or the caller does not see. One mail can
    /// report many instances whose syncs failed, or work again, at the same time.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn stands_for(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<InstanceConnection>, ApiError> {
        Ok(Written(InstanceConnection(connection::nested(ctx, self, ReportedInstances, first, after).await?)))
    }

    /// The run that it is about. Null for a test mail and for a reminder of a contract, and when the run is so old that the server
    /// no longer has it.
    async fn run(&self, ctx: &Context<'_>) -> Option<Written<SyncRun>> {
        let id = self.model.run_id?;
        nullable(ctx, self.relations.runs.load(ctx.data_unchecked::<Api>(), RunById, &id).await).map(Written)
    }

    /// How many times the server tried to send it.
    fn attempts(&self) -> i32 {
        self.model.attempts
    }

    /// The error of the last attempt that failed, or why the mail was dropped or is included in another.
    fn last_error(&self) -> Option<&str> {
        self.model.last_error.as_deref()
    }

    /// Why there is this mail, and what became of it, in sentences for a person.
    fn reason(&self) -> String {
        history::reason(&self.model)
    }

    /// When the server decided to send it.
    fn created_at(&self) -> DateTime<Utc> {
        date_time(self.model.created_at)
    }

    /// When the mail server accepted it; null until then.
    fn sent_at(&self) -> Option<DateTime<Utc>> {
        self.model.sent_at.map(date_time)
    }
}

/// The instances that a mail reports, in the order of the mail.
#[derive(Clone, PartialEq)]
pub struct ReportedInstances;

impl ReportedInstances {
    /// Their ids, by mail.
    async fn ids(api: &Api, mails: &[Uuid]) -> Result<HashMap<Uuid, Vec<Uuid>>, ApiError> {
        let mut told = history::stands_for(api.instances.db.read(), mails).await?;
        let kept = api.instances.existing(told.values().flatten().copied().collect(), &api.seen).await?;
        for ids in told.values_mut() {
            ids.retain(|id| kept.contains(id));
        }
        Ok(told)
    }
}

impl List for ReportedInstances {
    type Row = Instance;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "instances of a mail".into()
    }

    fn position(&self, instance: &Instance) -> Uuid {
        instance.model.id
    }
}

impl NestedList for ReportedInstances {
    type Parent = Notification;

    async fn pages(
        &self,
        api: &Api,
        mails: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let mut pages = Self::ids(api, mails).await?;
        for ids in pages.values_mut() {
            if let Some(after) = after {
                *ids = ids.iter().skip_while(|id| **id != after).skip(1).copied().collect();
            }
            ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        let wanted: HashSet<Uuid> = pages.values().flatten().copied().collect();
        let found = api.instances.by_ids(&Vec::from_iter(wanted), api.wanted.instances).await?;
        let models = |ids: Vec<Uuid>| ids.iter().filter_map(|id| found.get(id).cloned()).collect();
        Ok(regroup(pages.into_iter().map(|(mail, ids)| (mail, models(ids))).collect(), Instance::list))
    }

    async fn totals(&self, api: &Api, mails: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        let told = Self::ids(api, mails).await?;
        Ok(told.into_iter().map(|(mail, ids)| (mail, Total::of(ids.len()))).collect())
    }
}

/// Selects mails. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct NotificationFilter {
    /// Mails about this instance.
    instance_id: Option<ID>,
    /// Mails of one of these kinds.
    kinds: Option<Vec<NotificationKind>>,
    /// Mails in one of these states.
    states: Option<Vec<NotificationState>>,
}

/// The newest mail comes first.
pub struct NotificationList(Filter);

impl NotificationList {
    fn new(api: &Api, filter: Option<NotificationFilter>) -> Result<Self, ApiError> {
        let NotificationFilter { instance_id, kinds, states } = filter.unwrap_or_default();
        let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
        Ok(Self(Filter { instance_id, kinds, states, seen: api.seen.clone() }))
    }
}

impl List for NotificationList {
    type Row = Notification;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "notifications".into()
    }

    fn position(&self, mail: &Notification) -> Uuid {
        mail.model.id
    }
}

impl RootList for NotificationList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(Notification::list(history::page(api.instances.db.read(), &self.0, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(history::total(api.instances.db.read(), &self.0).await?)
    }
}

connection!(NotificationConnection, NotificationEdge, NotificationList, "mails");

#[derive(Default)]
pub struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// The mails that the server still has, the newest first. A token that is limited to some instances sees the mails
    /// about them.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects mails.")] filter: Option<NotificationFilter>,
    ) -> Result<Written<NotificationConnection>, ApiError> {
        let list = NotificationList::new(ctx.data_unchecked(), filter)?;
        Ok(Written(NotificationConnection(connection::root(ctx, list, first, after).await?)))
    }
}

/// The address for a test mail.
#[derive(InputObject)]
pub struct SendTestMailInput {
    /// One e-mail address.
    address: String,
}

/// The result of `sendTestMail`.
#[derive(SimpleObject)]
pub struct SendTestMailPayload {
    /// The mail. It is still `QUEUED` if the mail server takes longer than 20 seconds. Null if the address was refused.
    notification: Option<Notification>,
    /// Why the mail was not sent; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Sends one mail to one address, with a single attempt, and returns the response of the mail server.
    async fn send_test_mail(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] input: SendTestMailInput,
    ) -> Result<SendTestMailPayload, ApiError> {
        let SendTestMailInput { address } = input;
        let api = ctx.data_unchecked::<Api>();
        let sent = split_refusals(api.test_mail.send(&address).await)?;
        let (notification, user_errors) = match sent {
            Ok((model, refusal)) => {
                (Some(Notification::one(model)), refusal.into_iter().map(UserError::from).collect())
            }
            Err(user_errors) => {
                if let Some(budget) = ctx.data_opt::<Budget>() {
                    budget.test_mail_unsent();
                }
                (None, user_errors)
            }
        };
        Ok(SendTestMailPayload { notification, user_errors })
    }
}
