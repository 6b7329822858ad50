//! How the licences of an instance were counted. It is valid as long as no users were deleted since: the instance still has
//! the same `purge_through`.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "license_tally")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The run that had ended last.
    pub run_id: Option<Uuid>,
    /// As the instance had it.
    pub purge_through: i64,
    pub counted_at: i64,
    /// How many users were reported.
    pub accounts: i64,
    /// How many of them the application has not told the licences of.
    pub untold: i64,
    /// How many licences of users were not counted, because the instance has too many different ones.
    pub left_out: i64,
    /// When the last run that read the licences completely started.
    pub as_of: Option<i64>,
    /// The same for the last activity. Ages are measured against it.
    pub activity_as_of: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Of an instance without users.
    pub fn none(instance_id: Uuid, purge_through: i64) -> Self {
        Self {
            instance_id,
            run_id: None,
            purge_through,
            counted_at: 0,
            accounts: 0,
            untold: 0,
            left_out: 0,
            as_of: None,
            activity_as_of: None,
        }
    }
}
