//! What is known of one part of an instance's user list, and as of when.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "capability_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The name of a `Capability`, as losses have it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub capability: String,
    /// Whether the integration listed it when a run ended last.
    pub provided: bool,
    /// The start of the last run that read it whole; null if it was never read since all users were deleted.
    pub as_of: Option<i64>,
    /// The start of the first of the runs in a row that did not read it; null if the last run did.
    pub lost_since: Option<i64>,
    /// Why the last run did not read it, for a person.
    pub reason: Option<String>,
    pub missing_permission: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
