//! What resolvers work with.

use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::notification::test_mail::TestMail;

/// In the schema's data: `ctx.data_unchecked::<Api>()`.
pub struct Api {
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub test_mail: TestMail,
    /// Identifies the event log that cursors belong to.
    pub epoch: i64,
}
