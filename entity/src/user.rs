//! A person's account in an integrated application, as the last sync saw it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// What the application says of an account.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// The person can sign in.
    Active,
    /// The account exists and is switched off.
    Suspended,
    /// The person was invited and has not joined yet.
    Invited,
    /// The application gave a status that the connector does not know, or none.
    Unknown,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub instance_id: Uuid,
    /// The application's own id of the account; unique in its instance.
    pub external_id: String,
    pub email: Option<String>,
    /// The address in lower case, for searching.
    pub email_key: Option<String>,
    pub display_name: Option<String>,
    /// The name in lower case, for searching.
    pub name_key: Option<String>,
    pub status: UserStatus,
    pub is_admin: Option<bool>,
    pub mfa_enabled: Option<bool>,
    /// A JSON array of texts; null when the application does not say.
    pub licenses: Option<String>,
    pub last_active_at: Option<i64>,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    pub removed_at: Option<i64>,
    /// The number of the run that saw the account last.
    pub generation: i64,
}

impl ActiveModelBehavior for ActiveModel {}
