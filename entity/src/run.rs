//! A sync run: one attempt to bring an instance's users up to date.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::growing::growing;

/// Why a run was started.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "SyncTrigger")]
pub enum Trigger {
    /// The first run of a new instance; there is exactly one. Of the integration `list`, the first delivery causes it.
    Initial,
    /// The instance's sync interval had passed.
    Scheduled,
    /// A member requested it, or a list was delivered.
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
    /// The whole user list was read, with every part of it.
    Succeeded,
    /// The users were read, but not every part of the list whole. Such a part keeps its old data; `lostCapabilities`
    /// names it. If it is `USERS`, nobody was removed.
    Partial,
    /// The user list was not read to its end, or a guard held it back; nobody was removed.
    Failed,
    /// It was cancelled: nobody was removed, and it does not count as a completed run.
    Cancelled,
}

/// The kind of error that made a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The application no longer accepts the token: it was revoked, or it expired.
    Token,
    /// The credential is valid, but lacks a permission that the user list needs.
    Permission,
    /// The application limits how often it is asked. A run waits for as long as it is told to, and fails if that is longer
    /// than it may wait.
    RateLimit,
    /// A network error, or an error of the application, that may be temporary.
    Transient,
    /// The application's response is not as the connector expects: not JSON, a missing field, a repeated cursor.
    Config,
    /// Too many users would have been removed at once. A member must accept the removals.
    RemovalGuard,
    /// The application listed far more users than the instance has. A member must accept the growth.
    GrowthGuard,
    /// The application stopped answering, or the run was interrupted too often.
    Timeout,
    /// No list was delivered within the interval. Only instances of the integration `list` have this.
    Overdue,
    /// An error of this server.
    Internal,
    /// Only a newer version of the server, which runs beside this one, knows it.
    #[serde(other)]
    Unknown,
}

growing!(FailureClass, 24);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "sync_run")]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of a run, each a column")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub instance_id: Uuid,
    pub integration_key: String,
    pub trigger: Trigger,
    /// Null while the run is queued or running.
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
    /// The total that the application reported.
    pub expected: Option<i64>,
    /// Disables the removal guard for this run.
    pub accept_removals: bool,
    /// Disables the growth guard for this run.
    pub accept_growth: bool,
    /// The digest of the manifest that the run uses; null if a version without digests started it, or if the manifest
    /// changed during the run.
    pub manifest_digest: Option<String>,
    /// Whether the manifest differs from that of the last run that did not fail.
    pub new_baseline: bool,
    /// How many users the instance had when the run started.
    pub users_before: i64,
    /// Whether the whole list has been read, so that only the outcome is missing.
    pub listed: bool,
    /// Where to continue the listing; null before the first page and after the last one.
    pub checkpoint: Option<Json>,
    /// The class of the error after which the run waits. Null while it does not wait.
    pub waiting_for: Option<FailureClass>,
    /// What happened, for a person.
    pub waiting_reason: Option<String>,
    pub waiting_until: Option<i64>,
    /// How often it has waited for an outage to end, and for how long.
    pub waits: i32,
    pub waited_ms: i64,
    /// How often it has checked a refused credential again.
    pub looks: i32,
    pub failure_class: Option<FailureClass>,
    pub failure_message: Option<String>,
    /// A remark for people about a run that did not fail.
    pub remark: Option<String>,
    pub http_status: Option<i32>,
    /// The parts that could not be read whole: a JSON array of `Loss`.
    pub lost: Json,
    /// The permissions that the application reported as missing: a JSON array of names.
    pub missing_permissions: Json,
    /// The kind of mail that the outcome called for.
    pub mail_kind: Option<super::notification::NotificationKind>,
    /// Why a mail was sent or not; null until the run has ended.
    pub mail_reason: Option<super::notification::MailReason>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Clears the columns about a wait.
    pub fn end_wait(&mut self) {
        self.waiting_for = None;
        self.waiting_reason = None;
        self.waiting_until = None;
    }
}
