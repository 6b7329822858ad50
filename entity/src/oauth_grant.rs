//! What an application granted to an instance after a person consented (OAuth 2.0).

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The tokens, sealed.
    pub sealed: Vec<u8>,
    /// Rises with every renewal and every consent.
    pub generation: i64,
    /// Who renews it now.
    pub lease_owner: Option<Uuid>,
    /// Until when nobody else may; 0 when nobody renews.
    pub lease_until: i64,
}

impl ActiveModelBehavior for ActiveModel {}
