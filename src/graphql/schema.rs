//! The schema: its parts and its limits.

use std::time::Duration;

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, Schema, SchemaBuilder};

use super::api_token::ApiTokenQuery;
use super::api_token::create::CreateApiToken;
use super::api_token::revoke::RevokeApiToken;
use super::audit::AuditQuery;
use super::audited::Audited;
use super::documents::validation::KnownDocuments;
use super::finding::except::ExceptFinding;
use super::finding::list::FindingQuery;
use super::finding::posture::PostureQuery;
use super::finding::settings::{ReportSettingsQuery, SetReportSettings};
use super::finding::trend::TrendQuery;
use super::guard::scan::MAX_NESTING;
use super::guard::{MAX_COMPLEXITY, MAX_DEPTH};
use super::instance::begin_authorization::BeginAuthorization;
use super::instance::cancel_sync::CancelSync;
use super::instance::create::CreateInstance;
use super::instance::delete::DeleteInstance;
use super::instance::delete_all_users::DeleteAllUsers;
use super::instance::event_log::EventLogQuery;
use super::instance::list::InstanceQuery;
use super::instance::state_changed::InstanceSubscription;
use super::instance::sync::SyncInstance;
use super::instance::test_connection::TestConnection;
use super::instance::update::UpdateInstance;
use super::integration::list::IntegrationQuery;
use super::member::MemberQuery;
use super::member::change::ChangeMember;
use super::member::create::CreateMember;
use super::member::session::{EndSession, SessionQuery};
use super::node::NodeQuery;
use super::notification::{NotificationMutation, NotificationQuery};
use super::person::decide::DecideAccount;
use super::person::erase::ErasePerson;
use super::person::list::PersonQuery;
use super::person::settings::{PeopleSettingsQuery, SetPeopleSettings};
use super::recipients::{RecipientsMutation, RecipientsQuery};
use super::server_status::ServerStatusQuery;
use super::spend::contract_list::RenewalQuery;
use super::spend::delete_contract::DeleteContract;
use super::spend::license::LicenseQuery;
use super::spend::report::SpendQuery;
use super::spend::set_price::SetPrice;
use super::spend::upsert_contract::UpsertContract;
use super::sync_run::list::SyncRunQuery;
use super::sync_run::progress::ProgressSubscription;
use super::user::feed::UserChangeQuery;
use super::user::list::UserQuery;
use super::webhook::WebhookQuery;
use super::webhook::again::RetryDeliveries;
use super::webhook::create::CreateWebhook;
use super::webhook::delete::DeleteWebhook;
use super::webhook::delivery::DeliveryQuery;
use super::webhook::secret::RotateWebhookSecret;
use super::webhook::test::TestWebhook;
use super::webhook::update::UpdateWebhook;

/// The longest time for a query or mutation, for the start of a subscription, and for each of its events.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_secs(30);

// In groups, because what resolves the fields of one object needs stack for each member.
/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(NodeQuery, RegisterQuery, MailQuery, AccessQuery, ReportQuery);

#[derive(MergedObject, Default)]
pub struct RegisterQuery(IntegrationQuery, InstanceQuery, EventLogQuery, SyncRunQuery, UserQuery, UserChangeQuery);

#[derive(MergedObject, Default)]
pub struct MailQuery(RecipientsQuery, NotificationQuery, WebhookQuery, DeliveryQuery);

#[derive(MergedObject, Default)]
pub struct AccessQuery(AuditQuery, ApiTokenQuery, ServerStatusQuery, MemberQuery, SessionQuery);

#[derive(MergedObject, Default)]
pub struct ReportQuery(
    PersonQuery,
    PeopleSettingsQuery,
    LicenseQuery,
    SpendQuery,
    RenewalQuery,
    FindingQuery,
    PostureQuery,
    TrendQuery,
    ReportSettingsQuery,
);

/// Everything that can be changed, by callers of the roles `ADMIN` and `OPERATOR`. Expected refusals
/// are the `userErrors` of its payload. If there are any, nothing was changed.
#[derive(MergedObject, Default)]
pub struct Mutation(InstanceMutation, MailMutation, WebhookMutation, AccessMutation, ReportMutation);

#[derive(MergedObject, Default)]
pub struct InstanceMutation(
    CreateInstance,
    UpdateInstance,
    DeleteInstance,
    DeleteAllUsers,
    SyncInstance,
    CancelSync,
    TestConnection,
    BeginAuthorization,
);

#[derive(MergedObject, Default)]
pub struct MailMutation(RecipientsMutation, NotificationMutation);

#[derive(MergedObject, Default)]
pub struct WebhookMutation(
    CreateWebhook,
    UpdateWebhook,
    DeleteWebhook,
    RotateWebhookSecret,
    TestWebhook,
    RetryDeliveries,
);

#[derive(MergedObject, Default)]
pub struct AccessMutation(CreateMember, ChangeMember, EndSession, CreateApiToken, RevokeApiToken);

#[derive(MergedObject, Default)]
pub struct ReportMutation(
    DecideAccount,
    ErasePerson,
    SetPeopleSettings,
    SetPrice,
    UpsertContract,
    DeleteContract,
    ExceptFinding,
    SetReportSettings,
);

/// Everything that can be subscribed to.
#[derive(MergedSubscription, Default)]
pub struct Subscription(InstanceSubscription, ProgressSubscription);

pub type AppSchema = Schema<Query, Audited<Mutation>, Subscription>;

/// The schema as it is executed. Each request brings its [`Api`](super::api::Api).
pub fn build() -> AppSchema {
    builder().finish()
}

/// The schema in the schema definition language, always in the same order.
pub fn sdl() -> String {
    let sorted = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(sorted)
}

fn builder() -> SchemaBuilder<Query, Audited<Mutation>, Subscription> {
    Schema::build(Query::default(), Audited::default(), Subscription::default())
        .limit_depth(MAX_DEPTH as usize)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_recursive_depth(MAX_NESTING)
        .disable_suggestions()
        .extension(KnownDocuments)
}
