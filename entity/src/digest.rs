//! A week whose digest was decided.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "digest")]
pub struct Model {
    /// The number of the Monday on which the week ends, from 1970-01-01, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub monday: i32,
    pub decided_at: i64,
    /// How many mails were decided. 0 if there was nothing to tell, or nobody to tell it to.
    pub mails: i32,
}

impl ActiveModelBehavior for ActiveModel {}
