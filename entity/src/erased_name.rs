//! An address by which accounts of an instance may name somebody who was erased as their manager.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erased_name")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// A keyed hash of the address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub erasure_id: Uuid,
    /// When the application named the address last, or when the person was erased.
    pub listed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
