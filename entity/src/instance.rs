//! One connection of an application.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Whether an instance is meant to be synced.
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
    /// Its users are being removed; it cannot be brought back.
    Deleting,
    /// A tombstone: hidden unless asked for, kept for its history.
    Deleted,
}

/// Why an instance does not sync.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum InactiveReason {
    /// A member switched it off.
    UserDeactivated,
    /// The application no longer accepts the token; the server switched the instance off.
    TokenInactive,
    /// The token may not list users; the server switched the instance off.
    InsufficientPermissions,
}

/// What the sync engine is doing for an instance.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// No run is waiting or going on.
    Idle,
    /// A run waits for its turn.
    Queued,
    /// A run is going on; `currentSync` has its counts.
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
    /// The user list is complete, but an optional part of it was refused and keeps its old data.
    Partial,
    /// The last completed run failed; `failingSince` tells since when.
    Failing,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
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
    /// An `AUTO_REVOKED` mail went out since the last recovery.
    pub revocation_mailed: bool,
    /// When the last successful run finished; 0 means never, so that it can be a sort key.
    pub last_success_at: i64,
    /// Whose tenant the credential belongs to, as the application said when it was verified.
    pub tenant: Option<String>,
    pub created_by: String,
    pub created_by_email: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Counts the changes of name, status, configuration and interval.
    pub revision: i32,
    /// An object of the public values; a secret that is set stands in it as null.
    pub config: Json,
    /// The sealed secrets; null once the instance is being deleted.
    #[serde(skip)]
    pub secrets: Option<Vec<u8>>,
    /// When the credential ends, if that is known.
    #[serde(default)]
    pub credential_expires_at: Option<i64>,
    pub sync_interval_minutes: i32,
    pub next_sync_at: Option<i64>,
    pub user_count: i64,
    pub last_run_id: Option<Uuid>,
    pub current_run_id: Option<Uuid>,
    /// The number of the last run that was started, from 1.
    pub run_number: i64,
    /// Users last seen by this run number or an earlier one have left reporting.
    pub purge_through: i64,
    /// Users that left reporting are still being removed.
    pub purging: bool,
    /// How many users the purge has removed so far.
    pub purged_users: i64,
}

impl ActiveModelBehavior for ActiveModel {}
