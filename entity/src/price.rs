//! What a licence of an instance costs.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "price")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The name of the licence, as the application writes it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub license: String,
    /// Its code by ISO 4217.
    pub currency: String,
    /// In the currency's minor units.
    pub amount: i64,
    /// How many seats the amount is for; null if it is for one, and was given so.
    pub seats: Option<i64>,
    /// How many months the amount is for.
    pub months: i32,
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
