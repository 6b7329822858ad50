//! An address to which changes of instances are sent, and what it wants.

use sea_orm::entity::prelude::*;

/// Whether messages are sent to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[graphql(name = "WebhookState")]
pub enum State {
    /// It gets its messages.
    Enabled,
    /// It gets tests only; `disabledReason` says why. What happens meanwhile is not recorded for it.
    Disabled,
}

/// Why a webhook is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[graphql(name = "WebhookDisabledReason")]
pub enum DisabledReason {
    /// A member switched it off.
    Member,
    /// The receiver answered with status 410: it is gone.
    Gone,
    /// It accepted nothing for three days.
    Failing,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub url: String,
    pub description: String,
    /// The causes of events that it wants: a JSON array; null for all.
    pub causes: Option<String>,
    /// Whether it wants only events that change the status or the health of an instance.
    pub only_changes: bool,
    /// The kinds of changes of accounts that it wants: a JSON array.
    pub account_changes: String,
    /// The instances that it is limited to, as JSON; null for all.
    pub scope: Option<String>,
    pub state: State,
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<i64>,
    /// The secrets, sealed and bound to the address.
    pub secret: Vec<u8>,
    /// Incremented whenever the secrets are sealed with other content or another address.
    pub secret_generation: i64,
    /// Until when messages are also signed with the secret before; null if there is none.
    pub previous_until: Option<i64>,
    /// The number of the last event about which it was decided.
    pub decided_through: i64,
    /// When the first attempt failed after which none succeeded; null if the last one succeeded.
    pub failing_since: Option<i64>,
    /// How many attempts have failed since then.
    pub failures: i32,
    /// Before this time nothing is sent; null if nothing is waited for.
    pub retry_at: Option<i64>,
    pub last_error: Option<String>,
    pub last_success_at: Option<i64>,
    pub created_by: String,
    pub created_by_email: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Incremented by every change that a member makes, and when the server switches it off.
    pub revision: i32,
}

impl ActiveModelBehavior for ActiveModel {}
