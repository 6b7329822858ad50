//! How errors leave the house: as one kind of GraphQL error, without inner text.

use async_graphql::{Context, ErrorExtensionValues, Name, Value};
use uuid::Uuid;

use crate::error::{Error, Refusal};

/// What a request is told that found the database unavailable.
pub const UNAVAILABLE: &str = "The server cannot use its database now; try again in a moment.";
/// How soon a request that found the database unavailable may be repeated, in seconds.
pub const RETRY_AFTER_S: u32 = 5;

/// The only thing that becomes a GraphQL error in a resolver. It does not implement
/// `Display`, so that nothing else slips into its place.
#[derive(Clone, Debug)]
pub enum ApiError {
    /// An argument does not fit; the sentence says what would.
    InvalidInput(String),
    /// The token's role does not allow it.
    Forbidden,
    /// The database does not answer; nothing was changed, and the same request may succeed later.
    Unavailable(Uuid),
    /// The database did not answer when it was told to commit, and cannot be asked.
    Uncertain(Uuid),
    /// An error of this server; the id finds it in the log.
    Internal(Uuid),
}

impl ApiError {
    /// Logs an inner failure, and hides it behind a request id.
    pub fn hide(error: Error) -> Self {
        let id = Uuid::now_v7();
        match error {
            Error::Refused(refusals) => {
                let messages: Vec<_> = refusals.into_iter().map(|refusal| refusal.message).collect();
                ApiError::InvalidInput(messages.join(" "))
            }
            Error::Uncertain(text) => {
                tracing::error!(request.id = %id, error = %text, "nobody can tell whether a change was made");
                ApiError::Uncertain(id)
            }
            Error::Unavailable(text) | Error::Undone(text) => {
                tracing::warn!(request.id = %id, error = %text, "a request found the database unavailable");
                ApiError::Unavailable(id)
            }
            Error::Internal(text) => {
                tracing::error!(request.id = %id, error = %text, "a request met an error of our own");
                metrics::counter!("muster_internal_errors_total").increment(1);
                ApiError::Internal(id)
            }
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError::hide(error)
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        let retry_after = matches!(error, ApiError::Unavailable(_)).then_some(RETRY_AFTER_S);
        let (message, code, id) = match error {
            ApiError::InvalidInput(message) => (message, "BAD_USER_INPUT", None),
            ApiError::Forbidden => ("This token may read, but not change anything.".into(), "FORBIDDEN", None),
            ApiError::Unavailable(id) => (UNAVAILABLE.into(), "UNAVAILABLE", Some(id)),
            ApiError::Uncertain(id) => (
                "The database was lost while it stored the change: look whether it was made before you repeat it."
                    .into(),
                "OUTCOME_UNKNOWN",
                Some(id),
            ),
            ApiError::Internal(id) => {
                ("The server made an error; its log has the details.".into(), "INTERNAL", Some(id))
            }
        };
        let mut error = async_graphql::Error::new(message);
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", Value::Enum(Name::new(code)));
        if let Some(id) = id {
            extensions.set("requestId", id.to_string());
        }
        if let Some(seconds) = retry_after {
            extensions.set("retryAfter", seconds);
        }
        error.extensions = Some(extensions);
        error
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

/// As [`settle`], for a change to one thing: a refusal that names no field is about the
/// thing itself, and names `field`, which holds its id.
pub fn settle_about<T>(field: &str, result: Result<T, Error>) -> Result<Result<T, Vec<Refusal>>, ApiError> {
    Ok(settle(result)?.map_err(|refusals| {
        let name = |refusal: Refusal| if refusal.field.is_empty() { refusal.at([field]) } else { refusal };
        refusals.into_iter().map(name).collect()
    }))
}

/// The refusals of a mutation, apart from its failures.
pub fn settle<T>(result: Result<T, Error>) -> Result<Result<T, Vec<Refusal>>, ApiError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusals)) => Ok(Err(refusals)),
        Err(other) => Err(ApiError::hide(other)),
    }
}
