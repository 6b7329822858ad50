//! Why a run failed: an error of the application, or a decision of this server.

use entity::run::FailureClass;
use integration::source::{ErrorClass, SourceError};

/// A failure as the run's row records it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub class: FailureClass,
    pub message: String,
    pub http_status: Option<u16>,
    pub missing_permissions: Vec<String>,
    /// For `Token`: the application itself said that the credential is revoked or expired.
    pub definite: bool,
    /// For `RateLimit`: how long the application asked to wait.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure that is not the application's answer.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
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

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let SourceError { class, message, http_status, missing_permissions, definite, retry_after_ms, advice: _ } =
            error;
        let class = match class {
            ErrorClass::Token => FailureClass::Token,
            ErrorClass::Permission => FailureClass::Permission,
            ErrorClass::RateLimit => FailureClass::RateLimit,
            ErrorClass::Transient => FailureClass::Transient,
            ErrorClass::Config => FailureClass::Config,
            ErrorClass::Timeout => FailureClass::Timeout,
            ErrorClass::Internal => FailureClass::Internal,
        };
        Self { class, message, http_status, missing_permissions, definite, retry_after_ms }
    }
}
