//! What a member has accepted about an account, for a time. It stays when the account is deleted and comes back.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

use crate::finding::{Kind, Severity};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "finding_exception")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: Kind,
    /// It does not cover anything worse.
    pub severity: Severity,
    pub reason: String,
    pub decided_by: String,
    pub decided_at: i64,
    pub until: i64,
}

impl ActiveModelBehavior for ActiveModel {}
