//! Tokens and sessions together.

use uuid::Uuid;

use super::members::Members;
use super::tokens::Tokens;
use super::{Caller, Who};
use crate::error::Result;

/// Everything that callers identify themselves with.
#[derive(Clone)]
pub struct Access {
    pub tokens: Tokens,
    pub members: Members,
}

impl Access {
    /// Whether the caller's token or session is still valid.
    pub async fn still_valid(&self, caller: &Caller) -> Result<bool> {
        match caller.who {
            Who::Token(_) => self.tokens.still_valid(caller).await,
            Who::Member { session, .. } => self.members.sessions.still_valid(caller, session).await,
        }
    }

    /// The caller with a token or session of this id; `None` if it is not valid any more.
    pub async fn find_caller(&self, credential: Uuid) -> Result<Option<Caller>> {
        match self.tokens.find_caller(credential).await? {
            Some(caller) => Ok(Some(caller)),
            None => self.members.sessions.find_caller(credential).await,
        }
    }
}
