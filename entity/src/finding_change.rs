//! What an evaluation has opened and closed, if that is anything. Webhooks are told.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "finding_change")]
pub struct Model {
    /// Its place between the events of the log: after those that were committed before it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub place: i64,
    pub instance_id: Uuid,
    /// When the evaluation ended.
    pub at: i64,
    /// How many findings of each type it has opened and closed: a JSON object.
    pub counts: String,
}

impl ActiveModelBehavior for ActiveModel {}
