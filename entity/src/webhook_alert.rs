//! An alert that is open in an alert manager.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_alert")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub webhook_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The place of the last message about it in the order of messages.
    pub position: i64,
    /// The state that the last message reported.
    pub reported: String,
    /// The body of the last message that triggered it.
    pub body: String,
    /// When an Alertmanager was last told that it lasts.
    pub repeated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
