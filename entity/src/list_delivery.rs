//! A list of users that was delivered, or is being delivered, to an instance.

use sea_orm::entity::prelude::*;

/// What has become of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum State {
    /// It is being sent, and may never be whole.
    Arriving,
    /// It is whole, and no run has taken it over yet.
    Waiting,
    /// A run has taken it over, or its users were deleted. It has no rows any more.
    Done,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "list_delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// An instance has at most one list that is not arriving.
    pub instance_id: Uuid,
    pub state: State,
    /// How many users it has.
    pub user_count: i64,
    /// How large the file was.
    pub bytes: i64,
    /// How many rows of `list_batch` it has.
    pub batches: i64,
    /// How the file was read, as JSON.
    pub form: String,
    pub delivered_by: String,
    pub begun_at: i64,
    /// When a part of it arrived last.
    pub touched_at: i64,
    /// When it was whole.
    pub delivered_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
