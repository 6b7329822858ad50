//! Work to be done by exactly one worker at a time. A row is deleted when its work is done.

use sea_orm::entity::prelude::*;

/// What a job does to its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Kind {
    /// Carries out the sync run of that id.
    Sync,
    /// Removes the users that left reporting, of the instance of that id.
    Purge,
    /// Delivers the notification of that id.
    Mail,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: Kind,
    /// The row that the work is about; one job of a kind per subject.
    pub subject: Uuid,
    /// Not before this time.
    pub run_at: i64,
    /// Until when its worker holds it; 0 when nobody does.
    pub lease_until: i64,
    /// How often it was claimed. Together with the id it is the fencing token of a claim.
    pub claims: i32,
    /// How often a worker lost it without giving it back.
    pub take_overs: i32,
}

impl ActiveModelBehavior for ActiveModel {}
