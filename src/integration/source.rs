//! What an integrated application looks like from inside: something that can be
//! checked, and a listing of users that comes in pages.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::user::{SourceUser, UserField};

/// An optional part of an application's user list, or the list itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// The list of users: who has an account, and its status.
    Users,
    /// When each user was last active.
    LastActivity,
    /// Whether a second factor is set up for each user.
    Mfa,
    /// Whether each user is an administrator.
    AdminRoles,
    /// The licences or seats of each user.
    Licenses,
}

impl Capability {
    /// The capabilities of an application that provides these fields.
    pub fn of(fields: &[UserField]) -> Vec<Self> {
        let optional: BTreeSet<Self> = fields.iter().filter_map(|field| field.info().capability).collect();
        [Self::Users].into_iter().chain(optional).collect()
    }
}

/// The settings of one connection, secrets among them; never logged.
pub type Config = BTreeMap<String, String>;

/// Where a listing goes on after a page, in the source's own words.
pub type Checkpoint = serde_json::Value;

/// A part of the listing, in the application's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub users: Vec<SourceUser>,
    /// Where to resume when the run is cut after this page; `None` on the last one.
    pub next: Option<Checkpoint>,
    /// How many users there are in all, if the application says so.
    pub expected: Option<u64>,
    /// Optional parts that the application refused.
    pub lost: Vec<Loss>,
    /// When the credential ends, in Unix milliseconds, if this page's answer told.
    pub credential_expires_at: Option<i64>,
}

/// An optional capability that was refused, and what would bring it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub capability: Capability,
    pub missing_permission: Option<String>,
}

/// What a credential check learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Whose tenant the credential belongs to, if the application tells.
    pub tenant: Option<String>,
    pub lost: Vec<Loss>,
    /// When the credential ends, in Unix milliseconds, if the application tells.
    pub credential_expires_at: Option<i64>,
}

/// What kind of problem an application or its answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The application does not accept the credential: it was revoked, it expired, or it was never valid.
    Token,
    /// The credential is valid but lacks a permission.
    Permission,
    /// The application asked to slow down.
    RateLimit,
    /// A network problem or a server error that may pass by itself.
    Transient,
    /// The settings do not fit the application, or its answer does not fit the manifest.
    Config,
    /// The application did not answer in time.
    Timeout,
    /// An error of this server, such as a grant that could not be stored.
    Internal,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub class: ErrorClass,
    /// One or two sentences for a person; never a credential, never raw bytes.
    pub message: String,
    pub http_status: Option<u16>,
    /// Scopes or roles that the application says are missing.
    pub missing_permissions: Vec<String>,
    /// For `Token`: the application said outright that the grant is revoked or
    /// expired, so no second look is needed. A bare 401 leaves this false.
    pub definite: bool,
    /// For `RateLimit`: how long the application asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl SourceError {
    /// An error of which no more is known than its class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            http_status: None,
            missing_permissions: Vec::new(),
            definite: false,
            retry_after_ms: None,
        }
    }
}

/// A connected application.
#[async_trait]
pub trait Source: Send + Sync {
    /// Asks whether the credential is good for listing users, at the price of one page at most.
    async fn check(&self) -> Result<Verified, SourceError>;

    /// Lists all users from the beginning, or from a page's `next`. The stream
    /// ends after the page whose `next` is `None`, or after its first error; a
    /// stream that just stops counts as incomplete. Dropping it stops all work.
    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>>;
}
