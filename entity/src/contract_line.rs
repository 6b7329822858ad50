//! The seats of one licence in a contract.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "contract_line")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub contract_id: Uuid,
    /// The name of the licence, as the application writes it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub license: String,
    /// The order of the lines.
    pub position: i32,
    pub seats: i64,
    /// In minor units of the contract's currency; null if the price of the licence counts.
    pub amount: Option<i64>,
    /// Whether the amount is for all seats of the line, and not for one.
    pub is_total: bool,
}

impl ActiveModelBehavior for ActiveModel {}
