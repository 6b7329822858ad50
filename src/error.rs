//! Errors, distinguished by who can do something about them.

use std::borrow::Cow;
use std::fmt;

/// Why a request was refused, for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, async_graphql::Enum)]
#[graphql(name = "UserErrorCode")]
pub enum RefusalCode {
    /// Nothing has that id.
    NotFound,
    /// A value is not allowed; the message says what is.
    InvalidInput,
    /// Another instance that is not deleted has that name.
    NameTaken,
    /// The catalog has no integration with that key.
    UnknownIntegration,
    /// The request cannot be undone, and `acknowledgeIrreversible` was not true.
    AcknowledgementRequired,
    /// Somebody changed the instance after `expectedRevision` was read, or the recipients after `expectedEmails` were.
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
    /// No list waits that a run could read: somebody must deliver one.
    NothingDelivered,
    /// A person must consent in the application first: use `beginAuthorization`.
    AuthorizationRequired,
    /// The mail server did not accept the test mail.
    MailNotAccepted,
    /// Another member has that address.
    EmailTaken,
    /// No administrator would be left who can sign in.
    LastAdministrator,
    /// The member is disabled.
    MemberDisabled,
    /// A people source lists the person, and `force` was not true.
    PersonCurrent,
    /// The webhook is switched off.
    WebhookDisabled,
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

/// Why a function did not do what it was asked to do.
///
/// `Display` names the step that failed, and never its cause: [`Error::chain`] gives both, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller can correct it; nothing was changed.
    #[error("{}", messages(.0))]
    Refused(Vec<Refusal>),
    /// The database cannot be used at the moment; nothing was changed, and another try may succeed.
    #[error(transparent)]
    Unavailable(Failure),
    /// The database rolled the transaction back, or lost it before its commit. `Db::write` runs it again.
    #[error(transparent)]
    Undone(Failure),
    /// The database did not say whether it committed the transaction.
    #[error(transparent)]
    Uncertain(Failure),
    /// A fault of the server. For the log, never for a client.
    #[error(transparent)]
    Internal(Failure),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The step that failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct Failure {
    step: Cow<'static, str>,
    #[source]
    source: Option<Source>,
}

impl Failure {
    pub fn new(step: impl Into<Cow<'static, str>>, source: impl Into<Source>) -> Self {
        Self { step: step.into(), source: Some(source.into()) }
    }

    /// The same failure, as the cause of `step`.
    fn within(self, step: Cow<'static, str>) -> Self {
        Self { step, source: Some(self.into()) }
    }

    /// The step and all causes, on one line.
    pub fn chain(&self) -> Chain<'_> {
        Chain(self)
    }
}

/// A failure without a deeper cause.
impl From<&'static str> for Failure {
    fn from(step: &'static str) -> Self {
        Self { step: step.into(), source: None }
    }
}

impl From<String> for Failure {
    fn from(step: String) -> Self {
        Self { step: step.into(), source: None }
    }
}

impl Error {
    /// True if the cause is the database, so that a retry may succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Unavailable(_) | Error::Undone(_) | Error::Uncertain(_) => true,
            Error::Refused(_) | Error::Internal(_) => false,
        }
    }

    /// A fault of the server: the step that failed, and its cause.
    pub fn internal(step: impl Into<Cow<'static, str>>, cause: impl Into<Source>) -> Self {
        Error::Internal(Failure::new(step, cause))
    }

    /// The step and all causes, on one line.
    pub fn chain(&self) -> Chain<'_> {
        Chain(self)
    }
}

/// Adds what was being done to an error on its way up.
pub trait Context<T> {
    /// Names the step that the error interrupted, such as "storing a page". A refusal stays as it is, because
    /// it is for the caller.
    fn context(self, step: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, step: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|error| match error.into() {
            refused @ Error::Refused(_) => refused,
            Error::Unavailable(failure) => Error::Unavailable(failure.within(step.into())),
            Error::Undone(failure) => Error::Undone(failure.within(step.into())),
            Error::Uncertain(failure) => Error::Uncertain(failure.within(step.into())),
            Error::Internal(failure) => Error::Internal(failure.within(step.into())),
        })
    }
}

/// Shows an error with all its causes on one line, separated by colons. Many libraries repeat the cause in
/// their own text; it is then shown once.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        f.write_str(&line)
    }
}

fn messages(refusals: &[Refusal]) -> String {
    let messages: Vec<_> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    messages.join("; ")
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(vec![refusal])
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::internal("stored JSON cannot be read", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_step_and_each_cause_once() {
        let inner = sea_orm::DbErr::Custom("disk I/O error".into());
        let error = Err::<(), _>(inner).context("reading the run").context("finishing the run").unwrap_err();
        assert_eq!(error.to_string(), "finishing the run");
        assert_eq!(
            error.chain().to_string(),
            "finishing the run: reading the run: a database statement failed: Custom Error: disk I/O error"
        );
        assert!(matches!(error, Error::Internal(_)));
    }

    #[test]
    fn a_refusal_is_for_the_caller_and_gets_no_context() {
        let refused: Error = Refusal::new(RefusalCode::NotFound, "There is no such instance.").into();
        let error = Err::<(), _>(refused).context("finding the instance").unwrap_err();
        assert_eq!(error.chain().to_string(), "There is no such instance.");
    }
}
