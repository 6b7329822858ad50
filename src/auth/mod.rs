//! Who may use the API: API tokens, and what is known of the caller of a request.

pub use entity::api_token::Role;
pub use scope::{Scope, Seen};
use uuid::Uuid;

mod rights;
mod scope;
pub mod tokens;

/// The authenticated caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub who: Who,
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
    /// The instances that it is limited to.
    pub scope: Seen,
    /// Whether the limits of tokens do not apply.
    pub unlimited: bool,
}

/// What a caller has identified itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// An API token.
    Token(Uuid),
    /// A member's session.
    Member { id: Uuid, session: Uuid },
}

impl Caller {
    /// The id of the token or of the member.
    pub fn id(&self) -> Uuid {
        match self.who {
            Who::Token(id) | Who::Member { id, .. } => id,
        }
    }

    /// The caller's name in events and histories: the address, or the name if there is none.
    pub fn label(&self) -> String {
        self.email.clone().unwrap_or_else(|| self.name.clone())
    }
}
