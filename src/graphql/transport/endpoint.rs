//! What the transports have in common.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::execution::Executor;
use super::origin::PublicOrigin;
use super::session_cookie::SessionCookie;
use crate::auth::access::Access;
use crate::graphql::budget::Budgets;

pub struct Endpoint {
    pub executor: Executor,
    pub access: Access,
    pub budgets: Arc<Budgets>,
    pub origin: PublicOrigin,
    pub session_cookie: SessionCookie,
    /// Cancelled when the server stops. It ends the open streams and sockets.
    pub shutdown: CancellationToken,
}
