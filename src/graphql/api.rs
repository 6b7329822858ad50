//! What resolvers work with.

use std::ops::Deref;
use std::sync::Arc;

use uuid::Uuid;

use crate::audit::journal::Journal;
use crate::auth::members::Members;
use crate::auth::tokens::Tokens;
use crate::auth::{Caller, Seen};
use crate::db::Columns;
use crate::error::{Refusal, Result};
use crate::findings::Findings;
use crate::instance::authorization::Authorizations;
use crate::instance::{self, Instances};
use crate::notification::test_mail::TestMail;
use crate::people::People;
use crate::webhook::Webhooks;

/// Which columns are read of the rows that are shown most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub instances: Columns,
    pub runs: Columns,
    pub users: Columns,
}

impl Wanted {
    pub const ALL: Self = Self { instances: Columns::ALL, runs: Columns::ALL, users: Columns::ALL };
}

/// In the data of each request: `ctx.data_unchecked::<Api>()`.
#[derive(Clone)]
pub struct Api {
    services: Arc<Services>,
    /// What is read of rows.
    pub wanted: Wanted,
    /// What the caller sees.
    pub seen: Seen,
}

pub struct Services {
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub members: Members,
    pub people: People,
    pub findings: Findings,
    pub test_mail: TestMail,
    pub webhooks: Webhooks,
    pub journal: Journal,
    pub tokens: Tokens,
    /// Identifies the event log that cursors belong to.
    pub epoch: i64,
}

impl Api {
    /// Reads whole rows, of all instances.
    pub fn new(services: Services) -> Self {
        Self { services: Arc::new(services), wanted: Wanted::ALL, seen: None }
    }

    /// For a request of this caller, which needs only some columns.
    #[must_use]
    pub fn of(&self, caller: &Caller, wanted: Wanted) -> Self {
        Self { services: self.services.clone(), wanted, seen: caller.scope.clone() }
    }

    /// Whether the caller sees the instance with this id, or would if there were one.
    pub async fn sees(&self, id: Uuid) -> Result<bool> {
        let Some(scope) = &self.seen else { return Ok(true) };
        let found = self.instances.by_ids(&[id], Columns::ALL).await?;
        Ok(found.get(&id).is_some_and(|instance| scope.has(&instance.integration_key, id)))
    }

    /// Refuses an instance that the caller does not see, as if there were none.
    pub async fn admit(&self, id: Uuid) -> Result<Uuid> {
        if self.sees(id).await? { Ok(id) } else { Err(instance::not_found()) }
    }

    /// Refuses an instance that the caller does not see, and an integration of which it would see no new instance.
    pub async fn admit_either(&self, instance: Option<Uuid>, integration_key: Option<&str>) -> Result<()> {
        if let Some(id) = instance {
            self.admit(id).await?;
        }
        integration_key.map_or(Ok(()), |key| Ok(self.admit_new(key)?))
    }

    /// Refuses new instances of an integration, unless the caller would see them.
    pub fn admit_new(&self, integration_key: &str) -> Result<(), Refusal> {
        match &self.seen {
            Some(scope) if !scope.integrations.contains(integration_key) => {
                let message =
                    "This token is limited to some instances, and new ones of this application are none of them.";
                Err(Refusal::invalid(message, ["integrationKey"]))
            }
            _ => Ok(()),
        }
    }
}

impl Deref for Api {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
