//! A consistent snapshot for several statements.

use std::time::Duration;

use sea_orm::DatabaseTransaction;

use super::conn::{self, Timed};
use super::{STATEMENT, postgres};
use crate::error::Result;

/// A read transaction, whose statements all see the same state.
pub struct View(pub(super) Timed<DatabaseTransaction>);

impl View {
    /// The connection to run statements on.
    pub fn conn(&self) -> &Timed<DatabaseTransaction> {
        &self.0
    }

    /// Lets each later statement take as long as `time`.
    pub async fn allow(&self, time: Duration) -> Result<()> {
        self.0.allow(time);
        postgres::allow(&self.0, time).await
    }

    /// Gives the connection back. Dropping the view does the same, a little later.
    pub async fn close(self) -> Result<()> {
        Ok(conn::in_time(STATEMENT, self.0.into_inner().commit()).await?)
    }
}
