//! An address by which other accounts may name somebody who was erased as their manager.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erased_name")]
pub struct Model {
    /// A keyed hash of the address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub erasure_id: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
