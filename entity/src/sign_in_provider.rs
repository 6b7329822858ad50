//! The instance of the identity provider by which people sign in to an application, so that its second factor counts.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_provider")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The instance of the identity provider.
    pub provider_id: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
