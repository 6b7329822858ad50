//! One message to one webhook, and whether it was accepted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Whether a message was accepted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "WebhookDeliveryState")]
pub enum State {
    /// Waits for its first or next attempt.
    Queued,
    /// The receiver accepted it.
    Delivered,
    /// It was not accepted in time, or the webhook was switched off. It can be sent again.
    Failed,
    /// It is not sent, because another message to the same chat reports it together with others.
    Included,
    /// It is not sent, because its instance was deleted first.
    Dropped,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "webhook_delivery")]
pub struct Model {
    /// The receiver gets it as the id of the message.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub webhook_id: Uuid,
    /// Its place in the order of the log. Null for a test.
    pub position: Option<i64>,
    /// The instance that it is about. Null for a test.
    pub instance_id: Option<Uuid>,
    pub message_type: String,
    pub body: String,
    pub state: State,
    /// How often it was tried since it was queued.
    pub attempts: i32,
    /// When it was queued: at first, or when somebody had it sent again.
    pub queued_at: i64,
    pub next_try_at: i64,
    pub last_try_at: Option<i64>,
    pub delivered_at: Option<i64>,
    /// The HTTP status of the last answer.
    pub status: Option<i32>,
    pub last_error: Option<String>,
    /// The beginning of the last answer.
    pub answer: Option<String>,
    pub created_at: i64,
    /// Until when it waits for others that it can be reported with. Null if that is decided.
    pub held_until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
