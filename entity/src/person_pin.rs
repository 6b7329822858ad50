//! What a member has decided about an account. It stays when the account is deleted and comes back.

use sea_orm::entity::prelude::*;

use crate::user::AccountKind;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "person_pin")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    /// Whether it decides whose the account is.
    pub links: bool,
    /// Null, if it does, for nobody.
    pub person_id: Option<Uuid>,
    /// The kind of the account; null if the application tells it.
    pub kind: Option<AccountKind>,
    pub decided_by: String,
    pub decided_at: i64,
    pub reason: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
