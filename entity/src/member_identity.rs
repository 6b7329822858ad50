//! An account at an identity provider, and the member that it signs in.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member_identity")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub issuer: String,
    /// Never reassigned by the provider, unlike an address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: String,
    pub member_id: Uuid,
    pub created_at: i64,
    /// Authenticates the other columns. A row without it is not valid.
    pub signature: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
