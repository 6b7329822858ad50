//! A person's account in an application, as the last sync saw it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// The state of an account in its application.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    EnumIter,
    DeriveActiveEnum,
    Serialize,
    Deserialize,
    async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// The person can sign in.
    Active,
    /// The account exists but is disabled.
    Suspended,
    /// The person was invited and has not joined yet.
    Invited,
    /// The application reported no status, or one that the connector does not know.
    #[default]
    Unknown,
}

/// What uses an account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A person uses the account.
    Human,
    /// A program uses the account: a bot, an integration, a service account.
    Service,
    /// Several people use the account, such as a shared mailbox or a room.
    Shared,
}

/// The fields that applications provide are those of the table in `integration::user`, with the same names.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "user_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub instance_id: Uuid,
    /// The application's id of the account. Unique within the instance.
    pub external_id: String,
    pub email: Option<String>,
    pub display_name: Option<String>,
    /// The address in the form that identifies a person.
    pub match_key: Option<String>,
    /// The version of this key and of the user's words; 0 if a release without versions wrote them.
    pub key_version: i32,
    pub status: UserStatus,
    pub is_admin: Option<bool>,
    pub mfa_enabled: Option<bool>,
    /// A JSON array of names; null if the application does not report them.
    pub licenses: Option<String>,
    /// 0 if the application says that the account was never active.
    pub last_active_at: Option<i64>,
    pub kind: Option<AccountKind>,
    pub guest: Option<bool>,
    pub created_at: Option<i64>,
    /// A JSON array of addresses; null if the application does not report them.
    pub aliases: Option<String>,
    pub source_id: Option<String>,
    pub employee_id: Option<String>,
    pub department: Option<String>,
    pub manager: Option<String>,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    pub removed_at: Option<i64>,
    /// The number of the last run that saw the account.
    pub generation: i64,
}

impl ActiveModelBehavior for ActiveModel {}
