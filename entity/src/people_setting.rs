//! How people are recognised. The table has exactly one row. Whoever writes people or links locks it first.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "people_setting")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// Whether the part of an address that follows a `+` is left out.
    pub strip_tags: bool,
    /// Makes the ids of people unlike those of another installation.
    pub salt: Uuid,
}

impl ActiveModelBehavior for ActiveModel {}
