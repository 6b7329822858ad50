//! What is true of the whole installation: one row.

use sea_orm::entity::prelude::*;

/// The key of the one row.
pub const ID: i32 = 1;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Sealed with the secret key; none until the first start that has one. Every process must be able to open it.
    pub key_check: Option<Vec<u8>>,
    /// Another number when the event log is another one: after a backup was restored.
    pub log_epoch: i64,
    /// How many migrations a binary must know at least.
    pub needs: i32,
}

impl ActiveModelBehavior for ActiveModel {}
