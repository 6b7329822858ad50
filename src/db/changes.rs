//! What a transaction changes of what clients see of instances, runs and events.

use entity::event;
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait};

use super::conn::Timed;
use crate::error::Result;

/// Counts a change that is no event.
pub(super) const COUNT_UNLOGGED: &str = "UPDATE installation SET unlogged_changes = unlogged_changes + 1";

/// The changes of one transaction.
#[derive(Default)]
pub(super) struct Changes {
    pub events: Vec<event::ActiveModel>,
    /// Whether there is a change without an event.
    pub unlogged: bool,
}

impl Changes {
    /// Records them where one process writes at a time.
    pub async fn record(self, conn: &Timed<DatabaseTransaction>) -> Result<()> {
        if !self.events.is_empty() {
            event::Entity::insert_many(self.events).exec_without_returning(conn).await?;
        }
        if self.unlogged {
            conn.execute_unprepared(COUNT_UNLOGGED).await?;
        }
        Ok(())
    }
}
