//! A process that works on the database together with others.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "replica")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The time of its last heartbeat.
    pub seen_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
