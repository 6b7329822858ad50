//! An instance: one connection to an application.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Whether an instance is supposed to be synced.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "InstanceStatus")]
pub enum Status {
    /// Syncs on its schedule.
    Live,
    /// Does not sync; `inactiveReason` says why. Its users stay reported and go stale.
    Inactive,
    /// It and its users are being removed. This cannot be undone.
    Deleting,
    /// Deleted: hidden by default, and kept for its history.
    Deleted,
}

impl Status {
    /// Those of instances that are neither deleted nor being deleted.
    pub const KEPT: [Self; 2] = [Self::Live, Self::Inactive];

    /// Whether the instance is deleted, or is being deleted.
    pub fn is_deleted(self) -> bool {
        !Self::KEPT.contains(&self)
    }
}

/// Why an instance is inactive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum InactiveReason {
    /// A member set it inactive.
    UserDeactivated,
    /// The server set it inactive, because the application no longer accepts the token.
    TokenInactive,
    /// The server set it inactive, because the token may not list users.
    InsufficientPermissions,
}

/// Whether a run of an instance is queued or running.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// No run is queued or running.
    Idle,
    /// A run is queued.
    Queued,
    /// A run is in progress; `currentSync` has its counts.
    Running,
}

/// How the last completed run ended. Cancelled runs do not count.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "InstanceHealth")]
pub enum Health {
    /// No run has completed yet.
    Pending,
    /// The last completed run succeeded.
    Ok,
    /// The last completed run succeeded, but could not read every part of the user list whole. Such a part keeps its old
    /// data; `capabilityStates` names it. If it is `USERS`, nobody was removed.
    Partial,
    /// The last completed run failed; see `failingSince`.
    Failing,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "instance")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub integration_key: String,
    pub name: String,
    /// The name in lower case: unique among instances that are not deleted.
    pub name_key: String,
    pub status: Status,
    pub inactive_reason: Option<InactiveReason>,
    pub inactive_since: Option<i64>,
    pub sync_state: SyncState,
    pub health: Health,
    pub failing_since: Option<i64>,
    pub consecutive_failures: i32,
    /// The kind of error of the last completed run; null if that did not fail, or if a version without this column
    /// ended it.
    pub failure_class: Option<super::run::FailureClass>,
    /// Whether an `AUTO_REVOKED` mail was sent since the last recovery.
    pub revocation_mailed: bool,
    /// When the last successful run finished, or the list that it took over was delivered. 0 means never (not null, because
    /// lists are sorted by this column).
    pub last_success_at: i64,
    /// The tenant that the credential belongs to, as the application reported it when the credential was verified.
    pub tenant: Option<String>,
    pub created_by: String,
    pub created_by_email: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Incremented by every change of name, status, configuration or interval.
    pub revision: i32,
    /// A JSON object with the public settings. A secret that is set is present with the value null.
    pub config: Json,
    /// The sealed secrets; null once the instance is being deleted.
    pub secrets: Option<Vec<u8>>,
    /// Incremented whenever new secrets are sealed.
    pub secrets_generation: i64,
    /// When the credential expires, if known.
    pub credential_expires_at: Option<i64>,
    pub sync_interval_minutes: i32,
    pub next_sync_at: Option<i64>,
    /// When the server tries the credential of an instance that it has set inactive; null if it does not.
    pub next_try_at: Option<i64>,
    /// How many times the server has tried the credential since the last run that did not fail, or since a member
    /// changed the status or the configuration.
    pub tries: i32,
    pub user_count: i64,
    pub last_run_id: Option<Uuid>,
    pub current_run_id: Option<Uuid>,
    /// The number of the last run that was started, from 1.
    pub run_number: i64,
    /// Users whose `generation` is not above this number were deleted and are no longer reported.
    pub purge_through: i64,
    /// Whether a job is still removing the rows of deleted users.
    pub purging: bool,
    /// How many user rows that job has removed so far.
    pub purged_users: i64,
    /// The digest of the manifest by which the last run that did not fail listed the users.
    pub manifest_digest: Option<String>,
    /// How many users it had after that run; 0 if there is none, or if all users were deleted since. Null if a version
    /// without this column ended that run.
    pub known_users: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
