//! How far the log of what evaluations have opened and closed is. It has one row, which whoever appends to it locks.

use sea_orm::entity::prelude::*;

/// The primary key of the only row.
pub const ONLY: i32 = 1;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "finding_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The place of the newest entry, which may be removed by now.
    pub newest: i64,
}

impl ActiveModelBehavior for ActiveModel {}
