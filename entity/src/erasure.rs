//! That a person was erased. Nothing here says who it was.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "erasure")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub at: i64,
    /// A keyed hash of the id of the person.
    pub person: String,
    /// Why, as an administrator has said it.
    pub reason: String,
    /// How many accounts were blanked.
    pub accounts: i64,
    /// Whether other accounts name the person as their manager no more.
    pub swept: bool,
}

impl ActiveModelBehavior for ActiveModel {}
