//! The key with which erased people and accounts are hashed. The table has no row until somebody is erased, and then one.

use sea_orm::entity::prelude::*;

/// The primary key of the only row.
pub const ROW: i32 = 1;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erasure_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The key, sealed with that of the installation.
    pub sealed: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
