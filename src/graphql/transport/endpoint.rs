//! What the transports have in common.

use std::sync::Arc;

use async_graphql::ServerError;
use entity::audit_entry::Action;
use tokio_util::sync::CancellationToken;

use super::execution::Executor;
use super::origin::PublicOrigin;
use super::session_cookie::SessionCookie;
use crate::audit::{Actor, Origin};
use crate::auth::access::Access;
use crate::auth::{Caller, ClientAddress};
use crate::graphql::budget::Budgets;
use crate::graphql::error::Code;

pub struct Endpoint {
    pub executor: Executor,
    pub access: Access,
    pub budgets: Arc<Budgets>,
    pub origin: PublicOrigin,
    pub session_cookie: SessionCookie,
    /// Cancelled when the server stops. It ends the open streams and sockets.
    pub shutdown: CancellationToken,
}

impl Endpoint {
    /// Counts a request that was refused before it was known who asks.
    pub fn count_anonymous(&self, address: Option<ClientAddress>, code: Code) {
        self.count(Actor::anonymous(), address, code);
    }

    /// Counts a request that was refused because a limit of its caller is exhausted.
    pub fn count_limited(&self, caller: &Caller, address: Option<ClientAddress>) {
        self.count(Actor::from(caller), address, Code::RateLimited);
    }

    /// Counts an operation that was refused before it was executed.
    pub fn count_refused(&self, caller: &Caller, address: Option<ClientAddress>, error: &ServerError) {
        // The client then sends the document, which is usual.
        if !Code::PersistedQueryNotFound.is_of(error) {
            self.count(Actor::from(caller), address, Code::of(error));
        }
    }

    fn count(&self, actor: Actor, address: Option<ClientAddress>, code: Code) {
        let address = address.map(|ClientAddress(address)| address);
        let origin = Origin { actor, address, request_id: None };
        self.executor.journal().count(&origin, Action::AccessRefused, code.as_str());
    }
}
