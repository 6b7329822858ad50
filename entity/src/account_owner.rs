//! Who is responsible for an account that is not a person's own.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_owner")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    pub person_id: Uuid,
    pub decided_by: String,
    pub decided_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
