//! One attempt to bring an instance's users up to date.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Why a run was started.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "SyncTrigger")]
pub enum Trigger {
    /// The first run of a new instance; there is exactly one.
    Initial,
    /// The instance's interval had passed.
    Scheduled,
    /// A member asked for it.
    Manual,
    /// The instance was set live again, or reconnected.
    Reactivation,
}

/// How a run ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "SyncOutcome")]
pub enum Outcome {
    /// The listing was complete and every part of it was given.
    Succeeded,
    /// The listing of users was complete, but an optional part was refused and keeps its old data.
    Partial,
    /// The listing was not completed; nobody was removed.
    Failed,
    /// Somebody stopped it: nobody was removed, and it does not count as a completed run.
    Cancelled,
}

/// What kind of trouble made a run fail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The application no longer accepts the token: it was revoked, or it expired.
    Token,
    /// The credential is valid, but lacks a permission that the user list needs.
    Permission,
    /// The application asked to slow down for longer than a run may wait.
    RateLimit,
    /// Network trouble, or an error of the application's own, that may pass by itself.
    Transient,
    /// The application's answer does not fit: not JSON, a missing field, a cursor that repeats.
    Config,
    /// Too many users would have been removed at once; held until somebody accepts it.
    RemovalGuard,
    /// The application stopped answering, or the run was interrupted too often.
    Timeout,
    /// An error of this server.
    Internal,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "sync_run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub instance_id: Uuid,
    pub integration_key: String,
    pub trigger: Trigger,
    /// Null while the run waits or goes on.
    pub outcome: Option<Outcome>,
    /// The instance's run number; 0 until the run starts.
    pub number: i64,
    pub queued_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub seen: i64,
    pub added: i64,
    pub changed: i64,
    pub removed: i64,
    pub pages: i32,
    /// How many users the application said there are.
    pub expected: Option<i64>,
    /// Somebody accepted that this run may remove any number of users.
    pub accept_removals: bool,
    /// How many users the register held when the run started.
    pub users_before: i64,
    /// The whole list was read; only the outcome is still to be recorded.
    #[serde(skip)]
    pub listed: bool,
    /// Where the listing goes on; null before the first page and after the last.
    #[serde(skip)]
    pub checkpoint: Option<Json>,
    pub failure_class: Option<FailureClass>,
    pub failure_message: Option<String>,
    pub http_status: Option<i32>,
    /// The optional parts that were refused, as an array of losses.
    pub lost: Json,
    /// The names of the permissions that the application said are missing, as an array.
    pub missing_permissions: Json,
    /// The kind of mail that the outcome called for.
    pub mail_kind: Option<super::notification::NotificationKind>,
    /// Why that mail was sent, or none; null while the run goes on.
    pub mail_reason: Option<super::notification::MailReason>,
}

impl ActiveModelBehavior for ActiveModel {}
