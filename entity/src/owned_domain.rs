//! A domain of the company.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "owned_domain")]
pub struct Model {
    /// In the form of a match key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub domain: String,
}

impl ActiveModelBehavior for ActiveModel {}
