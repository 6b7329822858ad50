//! Attempts to sign in with a password since the last one that succeeded, for each account that was tried.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sign_in_attempt")]
pub struct Model {
    /// SHA-256 of the address that was entered, whether a member has it or not.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account: Vec<u8>,
    pub count: i64,
    pub last_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
