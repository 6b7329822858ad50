//! An account whose person was erased. By it, a sync recognises the account and keeps what tells whose it is out.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "erased_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// What the account has in place of the application's id: a keyed hash of the instance and that id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub stand_in: String,
    pub erasure_id: Uuid,
    /// When the application listed the account last, or when its person was erased.
    pub listed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
