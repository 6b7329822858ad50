//! What resolvers work with.

use std::ops::Deref;
use std::sync::Arc;

use crate::db::Columns;
use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::notification::test_mail::TestMail;

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

/// In the data of the schema and of each query: `ctx.data_unchecked::<Api>()`.
#[derive(Clone)]
pub struct Api {
    services: Arc<Services>,
    /// What is read of rows.
    pub wanted: Wanted,
}

pub struct Services {
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub test_mail: TestMail,
    /// Identifies the event log that cursors belong to.
    pub epoch: i64,
}

impl Api {
    /// Reads whole rows.
    pub fn new(services: Services) -> Self {
        Self { services: Arc::new(services), wanted: Wanted::ALL }
    }

    /// For a query that needs only some columns.
    #[must_use]
    pub fn wanting(&self, wanted: Wanted) -> Self {
        Self { services: self.services.clone(), wanted }
    }
}

impl Deref for Api {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
