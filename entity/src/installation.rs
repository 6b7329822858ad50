//! Facts about the whole installation. The table has exactly one row.

use sea_orm::entity::prelude::*;

/// The primary key of the only row.
pub const ID: i32 = 1;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// A known text that was sealed with the secret key. A process whose key does not open it refuses to start.
    /// Null until the first start.
    pub key_check: Option<Vec<u8>>,
    /// Identifies the event log. A restored backup gets a new number, which invalidates the cursors of clients.
    pub log_epoch: i64,
    /// Users with greater ids that an earlier release stored may be missing in searches. Null if none are.
    pub searchable_through: Option<Uuid>,
    /// How many migrations a binary must know to work with this database.
    pub needs: i32,
    /// How many transactions have changed what clients see of instances, runs and events, but recorded no event of it.
    pub unlogged_changes: i64,
    /// Since when the history of the users is whole, in Unix milliseconds: the first start, or what retention has left.
    pub history_since: i64,
}

impl ActiveModelBehavior for ActiveModel {}
