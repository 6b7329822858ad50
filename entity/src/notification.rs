//! One mail to one address, and its delivery state.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::growing::growing;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, Serialize, Deserialize, async_graphql::Enum)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// The first sync of an instance succeeded.
    InitialSyncSucceeded,
    /// The first sync of an instance failed.
    InitialSyncFailed,
    /// A sync failed after a successful one.
    SyncFailed,
    /// A sync succeeded after a failed one.
    SyncRecovered,
    /// The server set an instance inactive whose syncs were already failing.
    AutoRevoked,
    /// The last day for notice of a contract comes nearer.
    RenewalReminder,
    /// What was found in a week.
    WeeklyDigest,
    /// The server switched a webhook off, because its receiver accepts nothing.
    WebhookDisabled,
    /// A member requested it to try the mail settings.
    Test,
    /// Only a newer version of the server, which runs beside this one, knows it.
    #[serde(other)]
    Unknown,
}

growing!(NotificationKind, 32);

/// The delivery state of a mail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// Waits for its first or next attempt.
    Queued,
    /// The mail server accepted it.
    Sent,
    /// The mail server refused it permanently, or did not accept it within 48 hours.
    Failed,
    /// Not sent, because its instance was deleted first.
    Dropped,
    /// Not sent: another mail to the same address reports it together with others.
    Included,
}

/// Why a run's outcome caused a mail, or none.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "MailDecisionReason")]
pub enum MailReason {
    /// The outcome differs from the previous one, so it is mailed.
    Edge,
    /// The outcome is the same as the previous one, so it is not mailed.
    NoChange,
    /// The run was cancelled, which is never mailed.
    Cancelled,
    /// A mail was due, but there is no address: neither of the creator nor of a recipient.
    NoRecipient,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: NotificationKind,
    pub state: NotificationState,
    pub instance_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    pub address: String,
    /// The address in lower case. Unique together with run and kind.
    pub address_key: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The Message-ID without angle brackets. It stays the same on every attempt. If the mail is included in another,
    /// that of the other.
    pub message_id: String,
    pub in_reply_to: Option<String>,
    /// A failure class that other instances may share, so that their mails can be merged; null if there is none, or
    /// if this is a merged mail.
    pub reason: Option<super::run::FailureClass>,
    /// The instances that a merged mail reports: a JSON array of ids.
    pub stands_for: Option<Json>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub sent_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
