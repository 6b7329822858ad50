//! How findings are made. The table has exactly one row.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "report_setting")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// After how many days without activity an account is inactive.
    pub inactive_days: i32,
    /// The types that are switched off: a JSON array.
    pub disabled: String,
    /// When the weekly digest was switched on; null if it is off.
    pub digest_since: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
