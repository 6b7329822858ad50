//! The audit log: actions of members that change no instance.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};
use entity::audit_entry::{Action, Model};
use uuid::Uuid;

use super::api::Api;
use super::batch::Batch;
use super::connection::{self, connection};
use super::error::{ApiError, nullable};
use super::instance::{Instance, InstanceById};
use super::list::{List, PageRows, RootList};
use super::page;
use super::written::{Written, fields};
use crate::audit;
use crate::clock::date_time;
use crate::db::Total;

#[derive(Clone)]
pub struct AuditEntry {
    model: Arc<Model>,
    instances: Arc<Batch<Uuid>>,
}

impl AuditEntry {
    /// Rows of one list.
    fn list(models: Vec<Model>) -> Vec<AuditEntry> {
        let instances = Arc::new(Batch::new(models.iter().filter_map(|model| model.instance_id)));
        models.into_iter().map(|model| AuditEntry { model: Arc::new(model), instances: instances.clone() }).collect()
    }
}

/// Something that a member did without changing an instance. The changes of an instance are
/// its `events`.
#[fields]
#[Object]
impl AuditEntry {
    /// When it was done.
    fn at(&self) -> DateTime<Utc> {
        date_time(self.model.at)
    }

    /// Who did it: an e-mail address, or the name of a token.
    fn actor(&self) -> &str {
        &self.model.actor
    }

    /// What was done.
    fn action(&self) -> Action {
        self.model.action
    }

    /// The instance that the action was about. Null if there was none, or if the instance was deleted so long ago
    /// that the server no longer has it.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let id = self.model.instance_id?;
        nullable(ctx, self.instances.load(ctx.data_unchecked::<Api>(), InstanceById, &id).await).map(Written)
    }

    /// A sentence that says what was done, for a person.
    fn detail(&self) -> &str {
        &self.model.detail
    }
}

/// The newest entry comes first.
pub struct AuditLog;

impl List for AuditLog {
    type Row = AuditEntry;
    type Position = i64;

    fn name(&self) -> Cow<'static, str> {
        "audit".into()
    }

    fn position(&self, entry: &AuditEntry) -> i64 {
        entry.model.id
    }
}

impl RootList for AuditLog {
    async fn page(&self, api: &Api, after: Option<i64>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(AuditEntry::list(audit::page(api.instances.db.read(), after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(audit::total(api.instances.db.read()).await?)
    }
}

connection!(AuditEntryConnection, AuditEntryEdge, AuditLog, "entries of the audit log");

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// The entries of the audit log that the server still has, the newest first.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<AuditEntryConnection>, ApiError> {
        Ok(Written(AuditEntryConnection(connection::root(ctx, AuditLog, first, after).await?)))
    }
}
