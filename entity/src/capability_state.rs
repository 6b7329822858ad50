//! One part (capability) of an instance's user list, and when a run last read it completely.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "capability_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The name of a `Capability`, spelled as in `run.lost`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub capability: String,
    /// Whether the integration listed it when a run ended last.
    pub provided: bool,
    /// When the last run that read it completely started; null if there is none since all users were last deleted.
    pub as_of: Option<i64>,
    /// When the first of the consecutive runs that could not read it started; null if the last run read it.
    pub lost_since: Option<i64>,
    /// Why the last run did not read it, for a person.
    pub reason: Option<String>,
    pub missing_permission: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
