//! The audit log: what members did without changing an instance's state, such as connection tests.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "AuditAction")]
pub enum Action {
    /// The list of recipients was replaced.
    RecipientsSet,
    /// A connection was tested.
    ConnectionTested,
    /// A test mail was requested.
    TestMailSent,
    /// A run was allowed to remove any number of users.
    RemovalsAccepted,
    /// A run was allowed to add any number of users.
    GrowthAccepted,
    /// A person was sent to an application to give consent, and the authorization failed.
    AuthorizationFailed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub at: i64,
    pub actor: String,
    pub action: Action,
    pub instance_id: Option<Uuid>,
    /// One sentence for a person, without addresses or secrets.
    pub detail: String,
}

impl ActiveModelBehavior for ActiveModel {}
