//! What the transports have in common.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::execution::Executor;
use super::origin::PublicOrigin;
use crate::auth::tokens::Tokens;
use crate::graphql::budget::Budgets;

pub struct Endpoint {
    pub executor: Executor,
    pub tokens: Tokens,
    pub budgets: Arc<Budgets>,
    pub origin: PublicOrigin,
    /// Cancelled when the server stops. It ends the open streams and sockets.
    pub shutdown: CancellationToken,
}
