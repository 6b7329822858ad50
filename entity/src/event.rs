//! The durable event log: one row per change of an instance's state.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::growing::growing;

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "snake_case")]
#[graphql(name = "InstanceEventCause")]
pub enum Cause {
    /// No change: the current state of the instance, sent first to a new subscriber. Never stored.
    Snapshot,
    /// A member created the instance.
    Created,
    /// Its name, configuration or interval was changed.
    Updated,
    /// A member set it inactive.
    Deactivated,
    /// A member set it live or reconnected it, or the server set it live because its credential works again.
    Reactivated,
    /// The server set it inactive, because the token is no longer accepted or lacks a permission.
    Revoked,
    /// The server tried the credential of an instance that it had set inactive: it is still not accepted, or the
    /// application could not be asked.
    CredentialTried,
    /// A run was queued.
    SyncQueued,
    /// A run started.
    SyncStarted,
    /// A run began to wait: for an outage of the application to end, or before it checks a refused credential again.
    SyncWaiting,
    /// A run continued after a wait.
    SyncResumed,
    /// A run succeeded.
    SyncSucceeded,
    /// A run succeeded, but could not read every part of the user list whole.
    SyncPartial,
    /// A run failed.
    SyncFailed,
    /// A run was cancelled by a member or by a change of the instance.
    SyncCancelled,
    /// The users are no longer reported, and are being removed; the instance stays.
    UsersDeletionStarted,
    /// All users have been removed.
    UsersDeleted,
    /// The instance is being deleted: its credential is destroyed and its users are no longer reported.
    DeletionStarted,
    /// The last user was removed, and the name can be used again.
    Deleted,
    /// Only a newer version of the server, which runs beside this one, knows it.
    #[serde(other)]
    Unknown,
}

growing!(Cause, 32);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "event")]
pub struct Model {
    /// Increases in the order in which the changes became visible to readers.
    #[sea_orm(primary_key)]
    pub seq: i64,
    pub instance_id: Uuid,
    pub at: i64,
    pub cause: Cause,
    /// Who did it; null when the server did.
    pub actor: Option<String>,
    /// The instance right after the change, as the first releases wrote it. JSON null if there is
    /// a record.
    pub uncompressed: Json,
    /// The instance right after the change.
    pub record: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
