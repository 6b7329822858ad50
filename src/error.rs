//! What can go wrong inside, told apart by who can do something about it.

use std::fmt;

/// Why a request was refused, for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, async_graphql::Enum)]
#[graphql(name = "UserErrorCode")]
pub enum RefusalCode {
    /// There is nothing with that id.
    NotFound,
    /// A value is not allowed; the message says what is.
    InvalidInput,
    /// Another instance that is not deleted has that name.
    NameTaken,
    /// The catalog has no integration with that key.
    UnknownIntegration,
    /// The request cannot be undone, and `acknowledgeIrreversible` was not true.
    AcknowledgementRequired,
    /// Somebody changed the instance after `expectedRevision` was read.
    RevisionConflict,
    /// The application does not accept the credential.
    CredentialRejected,
    /// The application accepts the credential, but does not let it list users.
    InsufficientPermissions,
    /// The application could not be reached, or its response was not as expected.
    ApplicationUnreachable,
    /// The credential belongs to another tenant of the application than the instance's users do.
    DifferentTenant,
    /// The instance is not live.
    InstanceInactive,
    /// The instance is deleted or is being deleted.
    InstanceDeleted,
    /// No run is queued or running.
    NothingToCancel,
    /// A person must consent in the application first: use `beginAuthorization`.
    AuthorizationRequired,
    /// The mail server did not accept the test mail.
    MailNotAccepted,
}

/// A refusal that the caller can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// A sentence for a person; never inner error text.
    pub message: String,
    /// The path of the input field at fault; empty when it is no single one.
    pub field: Vec<String>,
}

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: Vec::new() }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at<I: Into<String>>(mut self, field: impl IntoIterator<Item = I>) -> Self {
        self.field = field.into_iter().map(Into::into).collect();
        self
    }

    pub fn invalid<I: Into<String>>(message: impl Into<String>, field: impl IntoIterator<Item = I>) -> Self {
        Self::new(RefusalCode::InvalidInput, message).at(field)
    }
}

/// An outcome of a noun function other than the one that was asked for.
#[derive(Debug)]
pub enum Error {
    /// The caller's to mend; nothing was changed.
    Refused(Vec<Refusal>),
    /// The database cannot be used for the moment; nothing was changed, and it is worth another try.
    Unavailable(String),
    /// The database undid the transaction, or lost it before its commit. `Db::write` runs it again.
    Undone(String),
    /// Nobody can say whether the transaction was committed.
    Uncertain(String),
    /// Ours to mend. The text is for the log, never for a client.
    Internal(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same may go well in a moment, because the database was at fault.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Unavailable(_) | Error::Undone(_) | Error::Uncertain(_) => true,
            Error::Refused(_) | Error::Internal(_) => false,
        }
    }

    /// An inner failure with what was being done.
    pub fn internal(doing: &str, cause: impl fmt::Display) -> Self {
        Error::Internal(format!("{doing}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusals) => {
                let messages: Vec<_> = refusals.iter().map(|r| r.message.as_str()).collect();
                f.write_str(&messages.join("; "))
            }
            Error::Unavailable(text) | Error::Undone(text) | Error::Uncertain(text) | Error::Internal(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(vec![refusal])
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::internal("stored JSON", error)
    }
}
