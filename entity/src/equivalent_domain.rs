//! A domain in which each address is that of the same person as in another domain.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "equivalent_domain")]
pub struct Model {
    /// In the form of a match key, as the other one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub domain: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub same_as: String,
}

impl ActiveModelBehavior for ActiveModel {}
