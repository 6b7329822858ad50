//! The schema: which parts it is made of, and its limits.

use async_graphql::{MergedObject, SDLExportOptions, Schema};

use crate::graphql::api::Api;
use crate::graphql::audit::AuditQuery;
use crate::graphql::instance::begin_authorization::BeginAuthorization;
use crate::graphql::instance::cancel_sync::CancelSync;
use crate::graphql::instance::connection::InstanceQuery;
use crate::graphql::instance::create::CreateInstance;
use crate::graphql::instance::delete::DeleteInstance;
use crate::graphql::instance::delete_all_users::DeleteAllUsers;
use crate::graphql::instance::sync::SyncInstance;
use crate::graphql::instance::test_connection::TestConnection;
use crate::graphql::instance::update::UpdateInstance;
use crate::graphql::integration::IntegrationQuery;
use crate::graphql::node::NodeQuery;
use crate::graphql::notification::{NotificationMutation, NotificationQuery};
use crate::graphql::recipients::{RecipientsMutation, RecipientsQuery};
use crate::graphql::subscription::Subscription;
use crate::graphql::sync_run::SyncRunQuery;
use crate::graphql::user::UserQuery;

/// The deepest that fields may nest: the standard introspection query needs 15.
const DEPTH: usize = 15;
/// The price that a document may have: a field costs 1, a list its page size times its row.
const COMPLEXITY: usize = 20_000;
/// The deepest that the schema's own walks may recurse.
const RECURSION: usize = 32;

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
