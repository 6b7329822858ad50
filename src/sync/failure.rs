//! Why a run failed: an error of the application, or a decision of this server.

use entity::run::FailureClass;
use integration::source::{Advice, ErrorClass, SourceError};

/// A failure as the run's row records it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub class: FailureClass,
    pub message: String,
    pub http_status: Option<u16>,
    pub missing_permissions: Vec<String>,
    /// For `Token` and `Permission`: the application said why it refuses the credential.
    pub explicit: bool,
    /// For `RateLimit`: how long the application asked to wait.
    pub retry_after_ms: Option<u64>,
    /// The run ends at once instead of waiting.
    pub lasting: bool,
}

impl Failure {
    /// A failure that is not a response of the application.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            http_status: None,
            missing_permissions: Vec::new(),
            explicit: false,
            retry_after_ms: None,
            lasting: false,
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        // The application limits sign-ins, so another one would make it worse. (A 429 limits requests, and passes.)
        let at_sign_in = error.class == ErrorClass::RateLimit && error.advice == Advice::SignIn;
        let lasting = error.lasting || (at_sign_in && error.http_status != Some(429));
        let explicit = error.is_explicit();
        let SourceError { class, message, http_status, missing_permissions, retry_after_ms, .. } = error;
        let class = match class {
            ErrorClass::Token => FailureClass::Token,
            ErrorClass::Permission => FailureClass::Permission,
            ErrorClass::RateLimit => FailureClass::RateLimit,
            ErrorClass::Transient => FailureClass::Transient,
            ErrorClass::Config => FailureClass::Config,
            ErrorClass::Timeout => FailureClass::Timeout,
            ErrorClass::Overdue => FailureClass::Overdue,
            ErrorClass::Internal => FailureClass::Internal,
        };
        Self { class, message, http_status, missing_permissions, explicit, retry_after_ms, lasting }
    }
}
