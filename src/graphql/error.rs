//! GraphQL errors: the codes that clients branch on, and the one error type of resolvers.
//! No inner error text reaches a client.

use async_graphql::{Context, ErrorExtensionValues, ServerError, Value};
use uuid::Uuid;

use crate::db::Trouble;
use crate::error::Error;

/// The message for a request that found the database unavailable.
pub const UNAVAILABLE: &str = "The server cannot use its database now; try again in a moment.";
/// After how many seconds a request that found the database unavailable may be repeated.
pub const RETRY_AFTER_S: u32 = 5;

/// Why a request failed, in whole or in part (`extensions.code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The parameters are not valid for a GraphQL request.
    BadRequest,
    /// The request has no valid token or session.
    Unauthenticated,
    /// The caller may not use one of the fields.
    Forbidden,
    /// A web page of another origin.
    ForeignOrigin,
    /// The database does not answer, or the server is stopping. The request may be repeated.
    Unavailable,
    /// Neither GET nor POST, or a mutation by GET.
    MethodNotAllowed,
    /// `Accept` allows no media type that the response can have.
    NotAcceptable,
    /// The body is not plain `application/json`.
    UnsupportedMediaType,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The body took too long to arrive.
    RequestTimeout,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document breaks a rule of GraphQL or of the schema.
    ValidationFailed,
    /// The document exceeds one of the limits of [`super::guard`].
    TooComplex,
    /// An argument has the wrong type or value.
    InvalidInput,
    /// The request has the hash of a document alone, and no document of this hash is known.
    PersistedQueryNotFound,
    /// `operationName` is missing, or the document has no operation of that name.
    OperationUnresolved,
    /// The document uses `__schema` or `__type`, and introspection is switched off.
    IntrospectionDisabled,
    /// Too many operations are active on one WebSocket.
    TooManyOperations,
    /// A limit of the token or of the address is exhausted for the moment.
    RateLimited,
    /// The execution took too long and was stopped.
    ExecutionTimeout,
    /// It is unknown whether a change was stored.
    OutcomeUnknown,
    /// The operation was executed, but its result is too large to be sent.
    AnswerTooLarge,
    /// An error of this server.
    Internal,
}

impl Code {
    const ALL: [Self; 23] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::ForeignOrigin,
        Self::Unavailable,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::UnsupportedMediaType,
        Self::PayloadTooLarge,
        Self::RequestTimeout,
        Self::ParseFailed,
        Self::ValidationFailed,
        Self::TooComplex,
        Self::InvalidInput,
        Self::PersistedQueryNotFound,
        Self::OperationUnresolved,
        Self::IntrospectionDisabled,
        Self::TooManyOperations,
        Self::RateLimited,
        Self::ExecutionTimeout,
        Self::OutcomeUnknown,
        Self::AnswerTooLarge,
        Self::Internal,
    ];

    /// The code that clients see as this.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::ForeignOrigin => "FOREIGN_ORIGIN",
            Self::Unavailable => "UNAVAILABLE",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::NotAcceptable => "NOT_ACCEPTABLE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::TooComplex => "QUERY_TOO_COMPLEX",
            Self::InvalidInput => "BAD_USER_INPUT",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::OperationUnresolved => "OPERATION_RESOLUTION_FAILURE",
            Self::IntrospectionDisabled => "INTROSPECTION_DISABLED",
            Self::TooManyOperations => "TOO_MANY_OPERATIONS",
            Self::RateLimited => "RATE_LIMITED",
            Self::ExecutionTimeout => "EXECUTION_TIMEOUT",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::AnswerTooLarge => "ANSWER_TOO_LARGE",
            Self::Internal => "INTERNAL",
        }
    }

    /// The code of an error. One without is the library's, about an argument.
    pub fn of(error: &ServerError) -> Self {
        Self::ALL.into_iter().find(|code| code.is_of(error)).unwrap_or(Self::InvalidInput)
    }

    /// Whether `error` has this code.
    pub fn is_of(self, error: &ServerError) -> bool {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        matches!(code, Some(Value::String(code)) if code == self.as_str())
    }
}

/// A GraphQL error with a code.
pub fn error(code: Code, message: impl Into<String>) -> ServerError {
    with_code(ServerError::new(message, None), code)
}

/// Sets the code of an error that has none.
pub fn with_code(mut error: ServerError, code: Code) -> ServerError {
    let values = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    if values.get("code").is_none() {
        values.set("code", code.as_str());
    }
    error
}

/// If the cause of an error is only in the log, adds the id that finds it there.
pub fn with_request_id(mut error: ServerError, id: Uuid) -> ServerError {
    let logged = [Code::Internal, Code::Unavailable, Code::OutcomeUnknown].into_iter().any(|code| code.is_of(&error));
    if logged && let Some(values) = &mut error.extensions {
        values.set("requestId", id.to_string());
    }
    error
}

/// The only type that becomes a GraphQL error in a resolver. It does not implement
/// `Display`: `async_graphql` turns every type that does into an error with that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// An argument has a wrong value; the sentence says what is allowed.
    InvalidInput(String),
    /// The caller may not use a field; the sentence says why.
    Forbidden(&'static str),
    /// The database does not answer. Nothing was changed, and the request may be repeated.
    Unavailable,
    /// Nothing can be stored, because the disk of the database is full. Nothing was changed.
    DiskFull,
    /// The connection to the database was lost during the commit, and its outcome cannot be found out.
    OutcomeUnknown,
    /// An error of this server.
    Internal,
}

impl ApiError {
    /// Logs an inner error and hides its text.
    pub fn hide(error: Error) -> Self {
        match error {
            Error::Refused(refusals) => {
                let messages: Vec<_> = refusals.into_iter().map(|refusal| refusal.message).collect();
                ApiError::InvalidInput(messages.join(" "))
            }
            Error::Uncertain(failure) => {
                tracing::error!(error = %failure.chain(), "it is unknown whether a change was stored");
                ApiError::OutcomeUnknown
            }
            Error::Unavailable(failure) | Error::Undone(failure) => {
                tracing::warn!(error = %failure.chain(), "the database was unavailable for a request");
                match Trouble::of(&failure) {
                    Some(Trouble::DiskFull) => ApiError::DiskFull,
                    _ => ApiError::Unavailable,
                }
            }
            Error::Internal(failure) => {
                tracing::error!(error = %failure.chain(), "internal error during a request");
                metrics::counter!("muster_internal_errors_total").increment(1);
                ApiError::Internal
            }
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError::hide(error)
    }
}

impl From<ApiError> for ServerError {
    fn from(cause: ApiError) -> Self {
        match cause {
            ApiError::InvalidInput(message) => error(Code::InvalidInput, message),
            ApiError::Forbidden(reason) => error(Code::Forbidden, reason),
            ApiError::Unavailable => unavailable(UNAVAILABLE),
            ApiError::DiskFull => unavailable(Trouble::DiskFull.sentence()),
            ApiError::OutcomeUnknown => error(
                Code::OutcomeUnknown,
                "The connection to the database was lost while the change was stored: check whether it was made before you repeat it.",
            ),
            ApiError::Internal => error(Code::Internal, "The server made an error; its log has the details."),
        }
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let ServerError { message, extensions, source, .. } = error.into();
        Self { message, extensions, source }
    }
}

/// The error for a limit that is exhausted for the moment.
pub fn rate_limited(seconds: u32, message: impl Into<String>) -> ServerError {
    passing(Code::RateLimited, message, seconds)
}

fn unavailable(message: &str) -> ServerError {
    passing(Code::Unavailable, message, RETRY_AFTER_S)
}

/// An error that passes: after so many seconds, it is worth to try again.
fn passing(code: Code, message: impl Into<String>, seconds: u32) -> ServerError {
    let mut passing = error(code, message);
    if let Some(values) = &mut passing.extensions {
        values.set("retryAfter", seconds);
    }
    passing
}

/// After how many seconds it is worth to try again, if the error passes.
pub fn retry_after(error: &ServerError) -> Option<u32> {
    match error.extensions.as_ref()?.get("retryAfter")? {
        Value::Number(seconds) => u32::try_from(seconds.as_u64()?).ok(),
        _ => None,
    }
}

/// For nullable fields: an error makes the field null, and nothing around it.
pub fn nullable<T>(ctx: &Context<'_>, result: Result<Option<T>, ApiError>) -> Option<T> {
    result.unwrap_or_else(|error| {
        let error: async_graphql::Error = error.into();
        ctx.add_error(ctx.set_error_path(error.into_server_error(ctx.item.pos)));
        None
    })
}
