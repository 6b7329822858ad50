//! The ends of the chain of audit entries. The table has exactly one row.

use sea_orm::entity::prelude::*;

/// The id of the only row, as of every table with one row.
pub use crate::installation::ID;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_chain")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// The newest entry.
    pub last_id: i64,
    pub last_at: i64,
    /// Null until there is one.
    pub last_hash: Option<Vec<u8>>,
    /// The entry before the oldest one that is kept. Entries up to this one may have been pruned, or have no hash.
    pub anchor_id: i64,
    pub anchor_hash: Option<Vec<u8>>,
    /// The first entry that was appended after somebody had changed the chain outside of Muster.
    pub broken_at: Option<i64>,
    /// The newest entry of which nothing is proved: of those of earlier versions, and of those from before the log was
    /// accepted as it was. Null in rows that no version has signed that knows this column: it is then the anchor.
    pub unproved_id: Option<i64>,
    /// Authenticates the other columns. The row is signed before the first entry is appended.
    pub signature: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
