//! By how much the figures of an instance have changed on a day.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "posture_day")]
pub struct Model {
    /// The instance; the nil UUID for all of them together.
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// A question, by the name that it has in the counts of an evaluation; `evaluated` says that an evaluation ended on
    /// the day.
    #[sea_orm(primary_key, auto_increment = false)]
    pub question: String,
    /// The number of the day since 1970-01-01, in UTC.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: i32,
    /// By how much the number of those who answer with yes has changed.
    pub yes: i64,
    /// The same of those who answer with no.
    pub no: i64,
    /// The same of those of whom it is not known.
    pub unknown: i64,
}

impl ActiveModelBehavior for ActiveModel {}
