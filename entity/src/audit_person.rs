//! What is personal in an audit entry. A row can be deleted without breaking the chain of entries.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "audit_person")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub entry_id: i64,
    /// Random. The entry has a digest with it, which says nothing without it.
    pub key: Vec<u8>,
    /// The name of who did it, at that time.
    pub actor_name: String,
    /// The address that the request came from.
    pub address: Option<String>,
    /// The name of what it was done to, at that time. Of mails, the addresses.
    pub subject_name: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
