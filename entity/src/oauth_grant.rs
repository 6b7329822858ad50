//! The OAuth 2.0 tokens that an application granted to an instance.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The tokens, sealed.
    pub sealed: Vec<u8>,
    /// Incremented by every renewal and every new consent.
    pub generation: i64,
    /// The worker that is renewing the tokens.
    pub lease_owner: Option<Uuid>,
    /// When that worker's lease ends; 0 if no worker holds it.
    pub lease_until: i64,
}

impl ActiveModelBehavior for ActiveModel {}
