//! Findings, the figures of them, and a file for each kind of mutation.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::finding::{CloseReason, Kind, Model, Severity};
use entity::finding_exception;
use uuid::Uuid;

use super::api::Api;
use super::batch::{Batch, Relation};
use super::error::ApiError;
use super::id;
use super::instance::{Instance, InstanceById};
use super::user::User;
use super::written::{Fields, Written, fields};
use crate::clock::date_time;
use crate::directory::users;
use crate::findings::evidence;
use crate::findings::queries::{self, State};

pub mod except;
pub mod list;
pub mod posture;
pub mod settings;
pub mod trend;

#[derive(Clone)]
pub struct Finding {
    found: Arc<Model>,
    relations: Arc<Relations>,
}

/// Shared by the findings of one list.
struct Relations {
    findings: Batch<Uuid>,
    instances: Batch<Uuid>,
    users: Batch<Uuid>,
}

impl Finding {
    /// Rows of one list.
    pub fn list(found: Vec<Model>) -> Vec<Finding> {
        let relations = Arc::new(Relations {
            findings: Batch::new(found.iter().map(|found| found.id)),
            instances: Batch::new(found.iter().map(|found| found.instance_id)),
            users: Batch::new(found.iter().map(|found| found.user_id)),
        });
        found.into_iter().map(|found| Finding { found: Arc::new(found), relations: relations.clone() }).collect()
    }

    pub fn key(&self) -> Uuid {
        self.found.id
    }

    /// Its exception, while that has not ended.
    async fn exception_now(&self, api: &Api) -> Result<Option<FindingException>, ApiError> {
        if self.found.excepted_until.is_none_or(|until| until <= api.findings.clock.now()) {
            return Ok(None);
        }
        self.relations.findings.load(api, ExceptionOf, &self.found.id).await
    }
}

/// Something about an account that somebody should look at.
#[fields]
#[Object]
impl Finding {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode(id::Kind::Finding, self.found.id)
    }

    /// What is found.
    #[graphql(name = "type")]
    fn kind(&self) -> Kind {
        self.found.kind
    }

    /// How much it matters. It matters more about an administrator.
    fn severity(&self) -> Severity {
        self.found.severity
    }

    /// Whether it holds now, and whether it is accepted.
    fn state(&self, ctx: &Context<'_>) -> State {
        queries::state(&self.found, ctx.data_unchecked::<Api>().findings.clock.now())
    }

    /// The account. Null if it was deleted.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<Written<User>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(self.relations.users.load(api, UserById, &self.found.user_id).await?.map(Written))
    }

    /// The instance. Null if it was deleted long ago.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Option<Written<Instance>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(self.relations.instances.load(api, InstanceById, &self.found.instance_id).await?.map(Written))
    }

    /// When it was found first.
    fn opened_at(&self) -> DateTime<Utc> {
        date_time(self.found.opened_at)
    }

    /// When it was closed; null while it holds.
    fn closed_at(&self) -> Option<DateTime<Utc>> {
        self.found.closed_at.map(date_time)
    }

    /// Why it was closed; null while it holds.
    fn close_reason(&self) -> Option<CloseReason> {
        self.found.close_reason
    }

    /// What it follows from, as it was when it was found.
    fn evidence(&self) -> Vec<Fact> {
        let facts: Vec<evidence::Fact> = serde_json::from_str(&self.found.evidence).unwrap_or_default();
        facts.into_iter().map(|(field, value)| Fact { field, value }).collect()
    }

    /// The exception that a member has made, until it ends.
    async fn exception(&self, ctx: &Context<'_>) -> Result<Option<FindingException>, ApiError> {
        self.exception_now(ctx.data_unchecked::<Api>()).await
    }
}

/// A field and its value.
#[derive(SimpleObject, Fields)]
pub struct Fact {
    /// The field of the account, or of what is named before the dot.
    field: String,
    /// Its value.
    value: Option<String>,
}

/// A finding that a member has accepted for a time.
#[derive(Clone, SimpleObject)]
pub struct FindingException {
    /// Why it is acceptable.
    reason: String,
    /// Who has decided it.
    by: String,
    /// When it was decided.
    at: DateTime<Utc>,
    /// When it ends by itself.
    until: DateTime<Utc>,
    /// The severity that it covers. If the finding gets worse, it is open again.
    severity: Severity,
}

impl From<finding_exception::Model> for FindingException {
    fn from(row: finding_exception::Model) -> Self {
        let finding_exception::Model { reason, decided_by, decided_at, until, severity, .. } = row;
        Self { reason, by: decided_by, at: date_time(decided_at), until: date_time(until), severity }
    }
}

/// The accounts that findings are about.
#[derive(PartialEq)]
struct UserById;

impl Relation for UserById {
    type Key = Uuid;
    type Value = User;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, User>, ApiError> {
        let found = users::by_ids(api.findings.db.read(), ids).await?.into_values().collect();
        Ok(User::list(found).into_iter().map(|user| (user.key(), user)).collect())
    }
}

/// The exceptions of findings.
#[derive(PartialEq)]
struct ExceptionOf;

impl Relation for ExceptionOf {
    type Key = Uuid;
    type Value = FindingException;

    async fn fetch(&self, api: &Api, findings: &[Uuid]) -> Result<HashMap<Uuid, FindingException>, ApiError> {
        let found = queries::exceptions(api.findings.db.read(), findings).await?;
        Ok(found.into_iter().map(|(finding, row)| (finding, row.into())).collect())
    }
}
