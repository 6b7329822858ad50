//! The job queue. One worker at a time works on a job; the row is deleted when the work is done.

use sea_orm::entity::prelude::*;

/// What a job does to its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Kind {
    /// Executes the sync run with that id.
    Sync,
    /// Removes the deleted users of the instance with that id.
    Purge,
    /// Delivers the notification with that id.
    Mail,
    /// Tries the credential of the instance with that id, which the server has set inactive.
    Recovery,
    /// Finds the people of the accounts of the task with that id.
    People,
    /// Counts the licences of the instance with that id.
    Tally,
    /// Evaluates the findings of the instance with that id.
    Findings,
    /// Decides and sends the messages of the webhook with that id.
    Webhook,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub kind: Kind,
    /// The id of the row that the job is about. A subject has at most one job of each kind.
    pub subject: Uuid,
    /// The earliest time to start.
    pub run_at: i64,
    /// When the lease of its worker ends; 0 if no worker holds the job.
    pub lease_until: i64,
    /// How often the job was claimed. With the id, it forms the fencing token of a claim.
    pub claims: i32,
    /// How often a worker's lease ended before the worker released the job.
    pub take_overs: i32,
    /// Jobs with a lower number are claimed first.
    pub priority: i32,
}

impl ActiveModelBehavior for ActiveModel {}
