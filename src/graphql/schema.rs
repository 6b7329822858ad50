//! The schema: which parts it is made of, and its limits.

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, MergedObject, Object, SDLExportOptions, Schema, SimpleObject};

use super::audit::AuditQuery;
use super::error::{ApiError, nullable};
use super::id::{self, Kind};
use super::instance::Instance;
use super::instance::begin_authorization::BeginAuthorization;
use super::instance::cancel_sync::CancelSync;
use super::instance::create::CreateInstance;
use super::instance::delete::DeleteInstance;
use super::instance::delete_all_users::DeleteAllUsers;
use super::instance::list::InstanceQuery;
use super::instance::sync::SyncInstance;
use super::instance::test_connection::TestConnection;
use super::instance::update::UpdateInstance;
use super::integration::{Integration, IntegrationQuery};
use super::live::Subscription;
use super::notification::{Notification, NotificationMutation, NotificationQuery};
use super::recipients::{RecipientsMutation, RecipientsQuery};
use super::sync_run::{SyncRun, SyncRunQuery};
use super::user::{User, UserQuery};
use crate::directory::users;
use crate::error::{Refusal, RefusalCode};
use crate::events::Feed;
use crate::instance::authorization::Authorizations;
use crate::instance::{Happened, Instances};
use crate::notification::ledger;
use crate::notification::test_mail::TestMail;
use crate::sync::progress::Progress;

/// The deepest that fields may nest: the standard introspection query needs 15.
const DEPTH: usize = 15;
/// The price that a document may have: a field costs 1, a list its page size times its row.
const COMPLEXITY: usize = 20_000;
/// The deepest that the schema's own walks may recurse.
const RECURSION: usize = 32;

/// What resolvers work with.
pub type Api = Arc<ApiTools>;

/// See [`Api`].
pub struct ApiTools {
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub feed: Feed<Happened>,
    pub progress: Progress,
    pub test_mail: TestMail,
    /// Which event log it is.
    pub epoch: i64,
}

/// What can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    NodeQuery,
    IntegrationQuery,
    InstanceQuery,
    SyncRunQuery,
    UserQuery,
    RecipientsQuery,
    NotificationQuery,
    AuditQuery,
);

/// What can be changed. Every mutation needs a token of role admin. Expected refusals
/// are `userErrors` of its payload; then nothing was changed.
#[derive(MergedObject, Default)]
pub struct Mutation(
    CreateInstance,
    UpdateInstance,
    DeleteInstance,
    DeleteAllUsers,
    SyncInstance,
    CancelSync,
    TestConnection,
    BeginAuthorization,
    RecipientsMutation,
    NotificationMutation,
);

pub type AppSchema = Schema<Query, Mutation, Subscription>;

/// The schema, without the tools that executing it takes.
pub fn build() -> AppSchema {
    builder().finish()
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .limit_depth(DEPTH)
        .limit_complexity(COMPLEXITY)
        .limit_recursive_depth(RECURSION)
        .disable_suggestions()
}

/// The schema as it is executed.
pub fn with_tools(api: Api) -> AppSchema {
    builder().data(api).finish()
}

/// The schema in the schema definition language, the same whenever it is asked for.
pub fn sdl() -> String {
    build().sdl_with_options(SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items())
}

/// Anything with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The opaque, permanent id."))]
pub enum Node {
    Integration(Integration),
    Instance(Instance),
    SyncRun(SyncRun),
    User(User),
    Notification(Notification),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id; null when nothing has that id (any more).
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "The id.")] id: ID) -> Option<Node> {
        let found = find(ctx, &id).await;
        nullable(ctx, found)
    }
}

async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, ApiError> {
    let api = ctx.data_unchecked::<Api>();
    let conn = api.instances.db.read();
    let Some((kind, key)) = id::decode_any(id) else {
        return Err(ApiError::InvalidInput("This is not an id that this server gave.".into()));
    };
    if kind == Kind::Integration {
        let found = api.instances.catalog.find(&key);
        return Ok(found.and_then(|entry| Integration::list(vec![entry.key.clone()]).pop()).map(Node::Integration));
    }
    let id = id::argument(kind, id)?;
    Ok(match kind {
        Kind::Integration => None,
        Kind::Instance => {
            api.instances.by_ids(&[id]).await?.into_values().next().map(|model| Node::Instance(Instance::one(model)))
        }
        Kind::SyncRun => {
            api.instances.runs_by_ids(&[id]).await?.into_values().next().map(|model| Node::SyncRun(SyncRun::one(model)))
        }
        Kind::User => users::find(conn, id).await?.and_then(|model| User::list(vec![model]).pop()).map(Node::User),
        Kind::Notification => ledger::find(conn, id)
            .await?
            .and_then(|model| Notification::list(vec![model]).pop())
            .map(Node::Notification),
    })
}

/// A refusal that the caller can act on. Nothing was changed.
#[derive(SimpleObject)]
pub struct UserError {
    /// What is wrong, for a program.
    code: RefusalCode,
    /// What is wrong, for a person.
    message: String,
    /// The path of the input field at fault, from the top of the input: `["config", "token"]`. Null when it is no single one.
    field: Option<Vec<String>>,
}

/// Refusals as a payload shows them.
pub fn user_errors(refusals: Vec<Refusal>) -> Vec<UserError> {
    refusals
        .into_iter()
        .map(|Refusal { code, message, field }| UserError {
            code,
            message,
            field: (!field.is_empty()).then_some(field),
        })
        .collect()
}
