//! A word by which a user is found.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "user_word")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub word: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub instance_id: Uuid,
    /// All words of the user in their order, separated by spaces.
    pub words: String,
    /// How many bytes the word has in common with the word before it. A beginning of no more than so many bytes has
    /// found the user already.
    pub shared: i32,
    /// The application no longer lists the user.
    pub removed: bool,
}

impl ActiveModelBehavior for ActiveModel {}
