//! A link that works once.

use sea_orm::entity::prelude::*;

/// What the link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Purpose {
    /// Its bearer becomes the first administrator.
    FirstAdmin,
    /// Its bearer sets the password of a member, and is signed in.
    SetPassword,
    /// Its bearer is signed in.
    SignIn,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member_link")]
pub struct Model {
    /// SHA-256 of the secret in the link.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: Vec<u8>,
    pub purpose: Purpose,
    /// Only the first administrator is no member yet.
    pub member_id: Option<Uuid>,
    pub expires_at: i64,
    /// Authenticates the other columns. A row without it is not valid.
    pub signature: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
