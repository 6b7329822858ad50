//! The audit log: what was done, and what was refused.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use entity::audit_entry::{Action, ActorKind, Outcome, SubjectKind};
use uuid::Uuid;

use super::api::Api;
use super::batch::Batch;
use super::connection::{self, connection};
use super::error::{ApiError, nullable};
use super::id;
use super::instance::{Instance, InstanceById};
use super::list::{List, PageRows, RootList};
use super::page;
use super::written::{Written, fields};
use crate::audit::queries::{self, Filter, Found};
use crate::clock::date_time;
use crate::db::Total;

#[derive(Clone)]
pub struct AuditEntry {
    found: Arc<Found>,
    instances: Arc<Batch<Uuid>>,
}

impl AuditEntry {
    /// Rows of one list.
    fn list(found: Vec<Found>) -> Vec<AuditEntry> {
        let instances = Arc::new(Batch::new(found.iter().filter_map(|found| found.entry.instance_id)));
        found.into_iter().map(|found| AuditEntry { found: Arc::new(found), instances: instances.clone() }).collect()
    }
}

/// Something that was done, or tried. The changes of an instance are also its `events`.
#[fields]
#[Object]
impl AuditEntry {
    /// Its number, by which `muster audit verify` names it.
    fn number(&self) -> ID {
        ID(self.found.entry.id.to_string())
    }

    /// When it was done.
    fn at(&self) -> DateTime<Utc> {
        date_time(self.found.entry.at)
    }

    /// Who did it, by the name of that time: an e-mail address, or the name of a token. What kind of actor it was, if the
    /// name was erased.
    fn actor(&self) -> &str {
        self.found.person.as_ref().map_or(&self.found.entry.actor, |person| &person.actor_name)
    }

    /// What kind of actor did it. Null in entries of earlier versions, and where only a newer version knows it.
    fn actor_kind(&self) -> Option<ActorKind> {
        self.found.entry.actor_kind()
    }

    /// The id of the token or of the member that did it; for the filter `actorId`.
    fn actor_id(&self) -> Option<ID> {
        self.found.entry.actor_id.map(ID::from)
    }

    /// What was done.
    fn action(&self) -> Action {
        self.found.entry.action()
    }

    /// How it ended.
    fn outcome(&self) -> Outcome {
        self.found.entry.outcome()
    }

    /// Why it was refused or failed: a code of the API, such as `FORBIDDEN`.
    fn code(&self) -> Option<&str> {
        self.found.entry.code.as_deref()
    }

    /// How many times it happened. More than one if it was counted instead of being recorded each time.
    fn times(&self) -> i32 {
        page::int(self.found.entry.times)
    }

    /// The instance that the action was about. Null if there was none, or if the instance was deleted so long ago
    /// that the server no longer has it.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let id = self.found.entry.instance_id?;
        nullable(ctx, self.instances.load(ctx.data_unchecked::<Api>(), InstanceById, &id).await).map(Written)
    }

    /// What kind of thing the action was about. Null also where only a newer version knows it.
    fn subject_kind(&self) -> Option<SubjectKind> {
        self.found.entry.subject_kind()
    }

    /// The id of what the action was about; for the filter `subjectId`.
    fn subject_id(&self) -> Option<ID> {
        self.found.entry.subject_id.map(ID::from)
    }

    /// The name of what the action was about, at that time. Of mails, the addresses.
    fn subject_name(&self) -> Option<&str> {
        self.found.person.as_ref()?.subject_name.as_deref()
    }

    /// The address that the request came from.
    fn address(&self) -> Option<&str> {
        self.found.person.as_ref()?.address.as_deref()
    }

    /// The id of the request. It finds the lines of the server's log.
    fn request_id(&self) -> Option<ID> {
        self.found.entry.request_id.map(ID::from)
    }

    /// A sentence that says what was done, for a person.
    fn detail(&self) -> &str {
        &self.found.entry.detail
    }

    /// Whether the entry is a part of the chain, so that its change or removal is found. False for entries of earlier
    /// versions.
    fn is_chained(&self) -> bool {
        self.found.entry.hash.is_some()
    }
}

/// Selects entries of the audit log. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct AuditFilter {
    /// What this token or member did.
    actor_id: Option<ID>,
    /// One of these actions.
    actions: Option<Vec<Action>>,
    /// What was done to this instance, token, member, session or account of a person.
    subject_id: Option<ID>,
    /// One of these outcomes.
    outcomes: Option<Vec<Outcome>>,
    /// What came from this IP address. What was counted has the network of an IPv6 address, such as `2001:db8::`.
    address: Option<String>,
    /// What was done at this time or later. Where a clock was set back, the order of the entries decides.
    from: Option<DateTime<Utc>>,
    /// What was done before this time.
    to: Option<DateTime<Utc>>,
}

impl AuditFilter {
    fn decode(self) -> Result<Filter, ApiError> {
        let AuditFilter { actor_id, actions, subject_id, outcomes, address, from, to } = self;
        let address = address.map(|text| text.parse::<IpAddr>().map_err(|_| ()));
        let address =
            address.transpose().map_err(|()| ApiError::InvalidInput("address is not an IP address.".into()))?;
        Ok(Filter {
            actor_id: actor_id.map(|id| uuid(&id, "actorId")).transpose()?,
            actions: page::bounded(actions, "actions")?,
            subject_id: subject_id.map(|id| uuid(&id, "subjectId")).transpose()?,
            outcomes: page::bounded(outcomes, "outcomes")?,
            address: address.map(|address| address.to_canonical()),
            from: from.map(|time| time.timestamp_millis()),
            to: to.map(|time| time.timestamp_millis()),
        })
    }
}

/// The id of an entry's actor or subject, or an id of any other field of the API.
fn uuid(id: &ID, argument: &str) -> Result<Uuid, ApiError> {
    let key = id::decode_any(id).map_or_else(|_| id.to_string(), |(_, key)| key);
    Uuid::try_parse(&key).map_err(|_| ApiError::InvalidInput(format!("{argument} is not an id that this server gave.")))
}

/// The newest entry comes first.
pub struct AuditLog(Filter);

impl List for AuditLog {
    type Row = AuditEntry;
    type Position = i64;

    fn name(&self) -> Cow<'static, str> {
        "audit".into()
    }

    fn position(&self, entry: &AuditEntry) -> i64 {
        entry.found.entry.id
    }
}

impl RootList for AuditLog {
    async fn page(&self, api: &Api, after: Option<i64>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        Ok(AuditEntry::list(queries::page(api.instances.db.read(), &self.0, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(queries::total(api.instances.db.read(), &self.0).await?)
    }
}

connection!(AuditEntryConnection, AuditEntryEdge, AuditLog, "entries of the audit log");

#[derive(Default)]
pub struct AuditQuery;

#[Object]
impl AuditQuery {
    /// The entries of the audit log that the server still has, the newest first.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn audit_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects entries.")] filter: Option<AuditFilter>,
    ) -> Result<Written<AuditEntryConnection>, ApiError> {
        let list = AuditLog(filter.unwrap_or_default().decode()?);
        Ok(Written(AuditEntryConnection(connection::root(ctx, list, first, after).await?)))
    }
}
