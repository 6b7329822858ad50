//! An address to which changes of instances are sent, and what it wants: another program, a chat, or an alert manager.

use sea_orm::entity::prelude::*;

/// What receives the messages of a webhook, and so which form they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[graphql(name = "WebhookKind")]
pub enum Kind {
    /// A program: signed JSON, as the specification Standard Webhooks says.
    Standard,
    /// A channel of Slack.
    Slack,
    /// A channel of Mattermost.
    Mattermost,
    /// A channel of Rocket.Chat.
    RocketChat,
    /// A chat or a channel of Microsoft Teams, through Workflows.
    Teams,
    /// A space of Google Chat.
    GoogleChat,
    /// A channel of Discord.
    Discord,
    /// A topic of an ntfy server.
    Ntfy,
    /// A service of PagerDuty.
    Pagerduty,
    /// Opsgenie, or the alerts of Jira Service Management.
    Opsgenie,
    /// A Prometheus Alertmanager.
    Alertmanager,
}

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
    /// The receiver answered that it is gone, for example with status 410.
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
    pub kind: Kind,
    /// The address; of a chat or an alert manager only its scheme and host, because the rest is a secret.
    pub url: String,
    pub description: String,
    /// The causes of events that it wants: a JSON array; null for all.
    pub causes: Option<String>,
    /// Whether it wants only events that change the status or the health of an instance.
    pub only_changes: bool,
    /// The kinds of changes of accounts that it wants: a JSON array.
    pub account_changes: String,
    /// Whether it wants to know what evaluations have opened and closed.
    pub finding_changes: bool,
    /// The instances that it is limited to, as JSON; null for all.
    pub scope: Option<String>,
    pub state: State,
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<i64>,
    /// What signs the messages, or the whole address of a chat or an alert manager. Sealed, and bound to `url`.
    pub secret: Vec<u8>,
    /// Incremented whenever the secrets are sealed with other content or another address.
    pub secret_generation: i64,
    /// Until when messages are also signed with the secret before; null if there is none.
    pub previous_until: Option<i64>,
    /// The number of the last event about which it was decided.
    pub decided_through: i64,
    /// The place of the last change of findings about which it was decided.
    pub findings_through: i64,
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
