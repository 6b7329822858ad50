//! The audit log: what members did that changes no instance's state.

use std::sync::Arc;

use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};
use entity::audit_entry::{Action, Model};
use uuid::Uuid;

use crate::audit;
use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::Siblings;
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, Page, Total, connection};
use crate::graphql::sync_run;

/// Something that a member did.
#[derive(Clone)]
pub struct AuditEntry {
    model: Arc<Model>,
    instances: Arc<Siblings<Uuid>>,
}

/// Something that a member did and that changes no instance's state. What does is in
/// `Instance.events`.
#[Object]
impl AuditEntry {
    /// When.
    async fn at(&self) -> DateTime<Utc> {
        date_time(self.model.at)
    }

    /// Who: an address, or the name of a token.
    async fn actor(&self) -> &str {
        &self.model.actor
    }

    /// What.
    async fn action(&self) -> Action {
        self.model.action
    }

    /// With which instance; null when with none, or with one that was deleted so long ago that it is forgotten.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Instance> {
        let id = self.model.instance_id?;
        let found = sync_run::instances(ctx, &self.instances, &id).await;
        nullable(ctx, found)
    }

    /// A sentence for a person.
    async fn detail(&self) -> &str {
        &self.model.detail
    }
}

connection!(AuditEntryConnection, AuditEntryEdge, AuditEntry, "entries of the audit log");

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// The audit log, newest first, as far back as the server keeps it.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
    ) -> Result<AuditEntryConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>().clone();
        let size = page::size(first)?;
        let start: Option<i64> = page::decode("audit", after.as_deref())?;
        let models = audit::page(api.instances.db.read(), start, size as u64 + 1).await?;
        let instances = Arc::new(Siblings::new(models.iter().filter_map(|model| model.instance_id)));
        let rows = models
            .into_iter()
            .map(|model| {
                let entry = AuditEntry { model: Arc::new(model), instances: instances.clone() };
                (page::encode("audit", &entry.model.id), entry)
            })
            .collect();
        let total: Total = Arc::new(move || {
            let api = api.clone();
            Box::pin(async move { Ok(audit::count(api.instances.db.read()).await?) })
        });
        Ok(AuditEntryConnection(Page::new(rows, size, after.as_deref(), total)))
    }
}
