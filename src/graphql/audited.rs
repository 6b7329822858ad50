//! The audit entries of operations. Every field of a mutation passes [`Audited`], so that none can be forgotten: what the
//! resolver does has an entry in the transaction of the change, and every other outcome gets one here.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::ContainerType;
use async_graphql::{
    Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerError, ServerResult, Value,
};
use entity::audit_entry::Action;
use parking_lot::Mutex;
use uuid::Uuid;

use super::error::Code;
use super::guard::RootField;
use super::id;
use crate::audit::journal::Journal;
use crate::audit::{Act, Actor, Entry, Origin, Subject};
use crate::auth::Caller;

/// What each mutation does. One that is missing here is recorded as [`Action::Changed`].
const ACTIONS: [(&str, Action); 38] = [
    ("beginAuthorization", Action::AuthorizationBegun),
    ("cancelSync", Action::SyncCancelled),
    ("changePassword", Action::PasswordSet),
    ("createApiToken", Action::TokenCreated),
    ("createInstance", Action::InstanceCreated),
    ("createMember", Action::MemberCreated),
    ("createWebhook", Action::WebhookCreated),
    ("deleteAllUsers", Action::UsersDeleted),
    ("deleteContract", Action::ContractDeleted),
    ("deleteInstance", Action::InstanceDeleted),
    ("deleteWebhook", Action::WebhookDeleted),
    ("endSession", Action::SessionEnded),
    ("erasePerson", Action::PersonErased),
    ("exceptFinding", Action::FindingExcepted),
    ("linkAccount", Action::AccountLinked),
    ("resetLink", Action::LinkReset),
    ("resetMember", Action::LinkCreated),
    ("retryFailedDeliveries", Action::DeliveriesRetried),
    ("retryWebhookDelivery", Action::DeliveriesRetried),
    ("revokeApiToken", Action::TokenRevoked),
    ("revokeException", Action::ExceptionRevoked),
    ("rotateWebhookSecret", Action::WebhookSecretRotated),
    ("sendTestMail", Action::TestMailSent),
    ("setAccountKind", Action::AccountKindSet),
    ("setOwnedDomains", Action::OwnedDomainsSet),
    ("setOwner", Action::OwnerSet),
    ("setPeopleSources", Action::PeopleSourcesSet),
    ("setPrice", Action::PriceSet),
    ("setRecipients", Action::RecipientsSet),
    ("setReportSettings", Action::ReportSettingsSet),
    ("syncInstance", Action::SyncRequested),
    ("testConnection", Action::ConnectionTested),
    ("testWebhook", Action::WebhookTested),
    ("unlinkAccount", Action::AccountUnlinked),
    ("updateInstance", Action::InstanceUpdated),
    ("updateMember", Action::MemberUpdated),
    ("updateWebhook", Action::WebhookUpdated),
    ("upsertContract", Action::ContractUpdated),
];

fn action(field: &str) -> Action {
    ACTIONS.iter().find(|(name, _)| *name == field).map_or(Action::Changed, |(_, action)| *action)
}

/// Where an operation comes from, as the audit log says it.
pub fn origin(caller: &Caller, address: Option<IpAddr>, request_id: Uuid) -> Origin {
    Origin { actor: Actor::from(caller), address, request_id: Some(request_id) }
}

/// The mutations of one request. It is in the data of the request.
#[derive(Clone)]
pub struct Trail(Arc<Inner>);

struct Inner {
    origin: Origin,
    journal: Journal,
    /// The fields that are not executed yet, or are being executed.
    open: Mutex<Vec<RootField>>,
}

impl Trail {
    /// `fields` are those that the request has at the root.
    pub fn new(origin: Origin, journal: Journal, fields: Vec<RootField>) -> Self {
        Self(Arc::new(Inner { origin, journal, open: Mutex::new(fields) }))
    }

    /// How many fields of this name are open.
    pub fn count(&self, field: &str) -> usize {
        self.0.open.lock().iter().filter(|open| open.name == field).count()
    }

    /// Executes one field. It has an entry afterwards.
    async fn execute<T>(&self, field: &str, work: impl Future<Output = ServerResult<T>>) -> ServerResult<T> {
        let Inner { origin, journal, open } = &*self.0;
        let detail = format!("The mutation {field} was executed.");
        let act = Act::new(origin.clone(), Some((action(field), detail.clone())));
        // In a box, because it is the largest part of the future of a request.
        let result = act.clone().run(Box::pin(work)).await;
        match (&result, act.refusal()) {
            (Err(error), _) => Box::pin(self.fail(field, act.subject(), Code::of(error))).await,
            (Ok(_), _) if act.has_recorded() => {}
            (Ok(_), Some(code)) => {
                let detail = format!("The mutation {field} was refused.");
                let entry = Entry::new(journal.now(), action(field), detail).refused(&code);
                Box::pin(journal.note(entry.about(act.subject()).by(origin.clone()))).await;
            }
            (Ok(_), None) => {
                let entry = Entry::new(journal.now(), action(field), format!("{detail} It changed nothing."));
                Box::pin(journal.note(entry.about(act.subject()).by(origin.clone()))).await;
            }
        }
        let mut open = open.lock();
        if let Some(at) = open.iter().position(|open| open.name == field) {
            open.remove(at);
        }
        result
    }

    /// Writes an entry for each field that was not executed to its end.
    pub async fn end(&self, code: Code) {
        let open = std::mem::take(&mut *self.0.open.lock());
        for field in open {
            self.fail(&field.name, field.id.as_deref().and_then(subject), code).await;
        }
    }

    async fn fail(&self, field: &str, subject: Option<Subject>, code: Code) {
        let Inner { origin, journal, .. } = &*self.0;
        let refused = matches!(code, Code::Forbidden | Code::RateLimited | Code::InvalidInput | Code::Unauthenticated);
        let what = if refused { "was refused" } else { "failed" };
        let entry = Entry::new(journal.now(), action(field), format!("The mutation {field} {what}."));
        let entry = entry.about(subject).by(origin.clone());
        match code {
            Code::RateLimited => journal.count(origin, action(field), code.as_str()),
            _ if refused => journal.note(entry.refused(code.as_str())).await,
            _ => journal.note(entry.failed(code.as_str())).await,
        }
    }
}

/// What an id of a client identifies.
fn subject(id: &str) -> Option<Subject> {
    let (kind, key) = id::decode_any(id).ok()?;
    id::subject(kind, Uuid::try_parse(&key).ok()?)
}

/// Records that an operation asked for what its caller may not do. Of a mutation, the fields have the entries.
pub async fn record_refusal(journal: &Journal, origin: Origin, trail: Option<Trail>, errors: &[ServerError]) {
    let refused = errors.iter().filter(|error| Code::Forbidden.is_of(error)).count();
    let is_limited = errors.iter().any(|error| error.path.is_empty() && Code::RateLimited.is_of(error));
    match trail {
        Some(trail) if is_limited => trail.end(Code::RateLimited).await,
        _ if refused == 0 => {}
        Some(trail) => trail.end(Code::Forbidden).await,
        None => {
            let detail = format!("Something was asked for that is closed to the caller, in {refused} places.");
            let entry = Entry::new(journal.now(), Action::AccessRefused, detail);
            journal.note(entry.refused(Code::Forbidden.as_str()).by(origin)).await;
        }
    }
}

/// The root of mutations, with an audit entry for each field.
#[derive(Default)]
pub struct Audited<M>(M);

impl<M: ObjectType> ContainerType for Audited<M> {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        let field = ctx.item.node.name.node.as_str();
        match ctx.data_opt::<Trail>() {
            Some(trail) if !field.starts_with("__") => trail.execute(field, self.0.resolve_field(ctx)).await,
            _ => self.0.resolve_field(ctx).await,
        }
    }
}

impl<M: ObjectType> OutputType for Audited<M> {
    fn type_name() -> Cow<'static, str> {
        M::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        M::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        self.0.resolve(ctx, field).await
    }
}

impl<M: ObjectType> ObjectType for Audited<M> {}
