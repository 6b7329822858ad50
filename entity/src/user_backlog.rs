//! Users that a run has stored and whose words are not written yet.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_backlog")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub instance_id: Uuid,
    /// The ids of the users, 16 bytes each.
    pub users: Vec<u8>,
    pub stored_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
