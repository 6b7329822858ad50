//! A person who may sign in.

use sea_orm::entity::prelude::*;

use super::api_token::Role;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// In lower case, and different for each member. Somebody of an identity provider may have none.
    #[sea_orm(unique)]
    pub email: Option<String>,
    pub role: Role,
    /// Argon2id, in PHC form. Without it, there is no password to sign in with.
    pub password_hash: Option<String>,
    pub created_at: i64,
    /// Since when the member may not sign in.
    pub disabled_at: Option<i64>,
    /// Authenticates the other columns. A row without it is not valid.
    pub signature: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
