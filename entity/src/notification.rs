//! One mail to one address about one event, and what became of it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// What a mail tells.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// The first sync of an instance succeeded.
    InitialSyncSucceeded,
    /// The first sync of an instance failed.
    InitialSyncFailed,
    /// A sync failed after one that had not.
    SyncFailed,
    /// A sync succeeded after one that had failed.
    SyncRecovered,
    /// The server switched off an instance whose syncs were failing already.
    AutoRevoked,
    /// A member asked for it, to try the mail settings.
    Test,
}

/// What became of a mail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// Waits for its first or next attempt.
    Queued,
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good, or did not take it for 48 hours.
    Failed,
    /// Never sent, because its instance was deleted meanwhile.
    Dropped,
}

/// Why a run's outcome led to a mail, or to none.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "MailDecisionReason")]
pub enum MailReason {
    /// The outcome differs from the one before it: a mail was called for.
    Edge,
    /// The outcome is as the one before it: nobody needs to hear it again.
    NoChange,
    /// The run was cancelled: that is not an outcome to tell.
    Cancelled,
    /// A mail was called for, but neither the creator nor the recipients have an address.
    NoRecipient,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: NotificationKind,
    pub state: NotificationState,
    pub instance_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    pub address: String,
    /// The address in lower case: unique with run and kind.
    pub address_key: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Without angle brackets; the same on every attempt.
    pub message_id: String,
    pub in_reply_to: Option<String>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub sent_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
