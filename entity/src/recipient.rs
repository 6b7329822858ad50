//! The organisation-wide list of addresses that get mail about every instance.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recipient")]
pub struct Model {
    /// The address in lower case.
    #[sea_orm(primary_key, auto_increment = false)]
    pub address_key: String,
    pub address: String,
    /// The index in the list, from 0.
    pub position: i32,
}

impl ActiveModelBehavior for ActiveModel {}
