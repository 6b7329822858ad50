//! The interface between the server and an application: a credential check, and a list of
//! users in pages.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::user::{SourceUser, UserField};

/// The user list of an application, or an optional part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// The list of users: who has an account, and its status.
    Users,
    /// Who is invited and has not joined yet, if the application lists invitations by themselves.
    Invitations,
    /// When each user was last active.
    LastActivity,
    /// Whether a second factor is set up for each user.
    Mfa,
    /// Whether each user is an administrator.
    AdminRoles,
    /// The licences or seats of each user.
    Licenses,
    /// What ties each user to a person: further addresses, ids, department and manager.
    Profile,
}

impl Capability {
    pub const ALL: &[Self] = &[
        Self::Users,
        Self::Invitations,
        Self::LastActivity,
        Self::Mfa,
        Self::AdminRoles,
        Self::Licenses,
        Self::Profile,
    ];

    /// The capabilities of an application that provides these fields.
    pub fn of(fields: &[UserField]) -> Vec<Self> {
        let optional = fields.iter().filter_map(|field| field.info().capability);
        optional.chain([Self::Users]).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// The settings of one connection. They include secrets, and are never logged.
pub type Config = BTreeMap<String, String>;

/// Where to resume a listing. Only the source that returned it can read it.
pub type Checkpoint = serde_json::Value;

/// A page of users, in the application's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub users: Vec<SourceUser>,
    /// Where to resume if the run is interrupted after this page; `None` on the last page.
    pub next: Option<Checkpoint>,
    /// The number of users on all pages, if the application reports it.
    pub expected: Option<u64>,
    /// The parts that this listing could not read.
    pub lost: Vec<Loss>,
    /// When the credential expires, in Unix milliseconds, if the application has reported it so far.
    pub credential_expires_at: Option<i64>,
    /// On the last page of a list that was resumed from a checkpoint: the list is complete only if it contained this
    /// many different users since its first page. The source no longer has the ids of the pages before the
    /// checkpoint, so the caller, which stored the users, has to compare.
    pub expect_distinct: Option<u64>,
}

/// A capability that a listing could not read, or not completely.
///
/// For [`Capability::Users`], the list could not prove that it is complete: users who were not
/// listed may still have an account. For [`Capability::Invitations`], those who were not listed and are invited may
/// still be invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub capability: Capability,
    /// The missing permission, if the application refused the part because of one.
    pub missing_permission: Option<String>,
    /// Why, in a sentence for a person.
    #[serde(default)]
    pub reason: Option<String>,
    /// The application seems not to have this part at all. A part that was read before may be refused in the same way.
    #[serde(default)]
    pub is_absent: bool,
}

impl Loss {
    pub fn new(capability: Capability, missing_permission: Option<String>, reason: Option<String>) -> Self {
        Self { capability, missing_permission, reason, is_absent: false }
    }

    /// The list of users could not prove that it is complete.
    pub fn of_users(reason: String) -> Self {
        Self::new(Capability::Users, None, Some(reason))
    }
}

/// The result of a successful credential check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The tenant that the credential belongs to, if it is known.
    pub tenant: Option<String>,
    pub lost: Vec<Loss>,
    /// When the credential expires, in Unix milliseconds, if the application reports it.
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
    /// Nobody has delivered what is awaited.
    Overdue,
    /// An error of this server, such as a grant that could not be stored.
    Internal,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub class: ErrorClass,
    /// One or two sentences for a person. They never contain a credential.
    pub message: String,
    pub http_status: Option<u16>,
    /// The scopes or roles that are missing, if the application names them.
    pub missing_permissions: Vec<String>,
    /// Whether the application named none, so that these are all that the connector needs.
    pub assumed_permissions: bool,
    /// For `Token`: the application said explicitly that the credential is revoked or has
    /// expired, so a second check is not needed. False after a bare 401.
    pub definite: bool,
    /// For `RateLimit`: how long the application asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    pub advice: Advice,
    /// Whether the run ends at once, because the problem lasts longer than a run may wait, or because another attempt
    /// would make it worse. Otherwise the run waits after `RateLimit`, `Transient` and `Timeout`.
    pub lasting: bool,
}

/// How a request may succeed after an error, besides what the error's class says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    #[default]
    None,
    /// The position in the list has expired: the list must be read from its beginning.
    ReadAgain,
    /// The page is too large or too costly: fewer records must be asked for.
    SmallerPage,
    /// The sign-in failed, so that no request of the connection can succeed.
    SignIn,
}

impl SourceError {
    /// An error about which only the class is known.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            http_status: None,
            missing_permissions: Vec::new(),
            assumed_permissions: false,
            definite: false,
            retry_after_ms: None,
            advice: Advice::None,
            lasting: false,
        }
    }

    /// Whether the application said why it refuses the credential.
    pub fn is_explicit(&self) -> bool {
        self.definite || (!self.missing_permissions.is_empty() && !self.assumed_permissions)
    }
}

/// A connected application.
#[async_trait]
pub trait Source: Send + Sync {
    /// Checks whether the credential can list users. Requests one page at most of each list.
    async fn check(&self) -> Result<Verified, SourceError>;

    /// Whether a request waits until others have ended. This is not the application's fault.
    fn is_queued(&self) -> bool {
        false
    }

    /// Lists all users, from the beginning or from a page's `next`. The stream ends after the
    /// page whose `next` is `None`. If it ends otherwise, the listing is incomplete. After an
    /// error it can be polled again: it then repeats what failed, and continues from there. Dropping it stops all
    /// work.
    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>>;
}
