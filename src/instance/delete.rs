//! Deletes an instance, or all its users. The deletion takes effect for readers at once; the rows are removed in the
//! background.

use entity::instance::Model;
use uuid::Uuid;

use super::Instances;
use super::state::{Change, State};
use crate::auth::Caller;
use crate::error::{Refusal, RefusalCode, Result};

fn acknowledged(given: bool, what: &str) -> Result<()> {
    if given {
        return Ok(());
    }
    let message = format!("{what} cannot be undone: repeat the request with acknowledgeIrreversible: true.");
    Err(Refusal::new(RefusalCode::AcknowledgementRequired, message).at(["acknowledgeIrreversible"]).into())
}

impl Instances {
    /// Deletes the instance. A second call has the same result.
    pub async fn delete(&self, caller: &Caller, id: Uuid, acknowledge: bool) -> Result<Model> {
        self.get(id).await?;
        acknowledged(acknowledge, "Deleting an instance")?;
        Ok(self.apply(id, &caller.label(), Change::Delete).await?.instance)
    }

    /// Deletes all users; the instance, its credential and its history stay.
    pub async fn delete_all_users(&self, caller: &Caller, id: Uuid, acknowledge: bool) -> Result<Model> {
        let known = self.get(id).await?;
        // An impossible deletion is refused before the acknowledgement is asked for.
        State::of(&known).apply(Change::DeleteUsers, self.clock.now())?;
        acknowledged(acknowledge, "Deleting all users")?;
        Ok(self.apply(id, &caller.label(), Change::DeleteUsers).await?.instance)
    }
}
