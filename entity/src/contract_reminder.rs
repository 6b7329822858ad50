//! A reminder of the end of a contract's notice that was decided. It is decided once for each term and step.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "contract_reminder")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub contract_id: Uuid,
    /// The last day of the contract, which identifies its term.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ends_on: i32,
    /// The step: how many days before the last day for notice it is due.
    #[sea_orm(primary_key, auto_increment = false)]
    pub days: i32,
    pub decided_at: i64,
    /// How many mails were written.
    pub mails: i32,
}

impl ActiveModelBehavior for ActiveModel {}
