//! Cancelling runs.

use entity::run;
use uuid::Uuid;

use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::instance::Instances;
use crate::instance::state::Change;

impl Instances {
    /// Cancels the queued or running run. A cancelled run does not count as an outcome.
    pub async fn cancel_sync(&self, caller: &Caller, id: Uuid) -> Result<run::Model> {
        let committed = self.apply(id, &caller.label(), Change::Cancel).await?;
        committed.last_run.ok_or_else(|| Error::Internal("a cancelled run without a row".into()))
    }
}
