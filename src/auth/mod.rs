//! Who may use the API: members with their sessions, API tokens, and what is known of the caller of a request.

use std::net::{IpAddr, Ipv6Addr};

pub use entity::api_token::Role;
use ipnet::IpNet;
pub use scope::{Scope, Seen};
use uuid::Uuid;

pub mod access;
mod administrators;
pub mod attempts;
pub mod browsers;
pub mod creators;
pub mod identities;
pub mod links;
pub mod members;
mod passwords;
mod rights;
mod scope;
pub mod sessions;
pub mod signed;
pub mod tokens;

/// How long the prefix of a place is in IPv6, in bits. In IPv4, each address is a place.
const PLACE: u8 = 48;

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

/// The address that a request comes from, behind the proxies that are trusted. In the extensions of each request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// What counts as one address. Who has an address of IPv6 has the whole network around it.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The network of a place, which can have very many of the networks above.
pub fn place(address: IpAddr) -> IpNet {
    IpNet::new(address, PLACE).map_or_else(|_| IpNet::from(address), |place| place.trunc())
}

impl Caller {
    /// The id of the token or of the member.
    pub fn id(&self) -> Uuid {
        match self.who {
            Who::Token(id) | Who::Member { id, .. } => id,
        }
    }

    /// The id of the token or of the session.
    pub fn credential(&self) -> Uuid {
        match self.who {
            Who::Token(id) | Who::Member { session: id, .. } => id,
        }
    }

    /// The caller's name in events and histories: the address, or the name if there is none.
    pub fn label(&self) -> String {
        self.email.clone().unwrap_or_else(|| self.name.clone())
    }
}
