//! Accounts whose people are to be found. A job works on each task.

use sea_orm::entity::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Kind {
    /// The accounts that a run has changed.
    Run,
    /// What is left of the accounts of an instance that were deleted.
    Deleted,
    /// People who have no account any more.
    Forgotten,
    /// Everything, because a setting has changed.
    Everything,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "people_task")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: Kind,
    pub instance_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    /// The time from which on what it finds is true.
    pub at: i64,
    /// What is done next.
    pub phase: i32,
    /// Up to where it is done.
    pub position: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
