//! A member who is signed in with a browser. The row is deleted when the session ends.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// SHA-256 of the secret in the cookie.
    #[sea_orm(unique)]
    pub hash: Vec<u8>,
    pub member_id: Uuid,
    pub created_at: i64,
    /// To a few minutes.
    pub last_used_at: i64,
    /// When it ends however much it is used.
    pub expires_at: i64,
    /// The address that signed in.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Authenticates the other columns. A row without it is not valid.
    pub signature: Option<Vec<u8>>,
    /// Whether the identity provider has authenticated the member. It gives no right, and is not signed.
    pub from_provider: bool,
}

impl ActiveModelBehavior for ActiveModel {}
