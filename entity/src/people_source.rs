//! An instance that says who the people of the company are.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "people_source")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The lowest number has the last word.
    pub rank: i32,
    /// Whether the states of all its people follow from what it says. False if it was not believed when it said so.
    pub settled: bool,
}

impl ActiveModelBehavior for ActiveModel {}
