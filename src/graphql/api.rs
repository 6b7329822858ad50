//! What resolvers work with.

use std::sync::Arc;

use crate::events::Feed;
use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::instance::event::Event;
use crate::notification::test_mail::TestMail;
use crate::sync::progress::Progress;

/// What resolvers work with.
pub type Api = Arc<ApiTools>;

/// See [`Api`].
pub struct ApiTools {
    pub instances: Instances,
    pub authorizations: Authorizations,
    pub feed: Feed<Event>,
    pub progress: Progress,
    pub test_mail: TestMail,
    /// Which event log it is.
    pub epoch: i64,
}
