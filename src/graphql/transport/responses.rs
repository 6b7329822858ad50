//! The response to an operation as JSON, which every transport can send.

use async_graphql::{Response, ServerError, Value};
use bytes::Bytes;
use uuid::Uuid;

use crate::graphql::error::{Code, error, retry_after, with_code, with_request_id};
use crate::graphql::json;

/// The most errors in the response to an operation that was not executed.
const MAX_ERRORS: usize = 5;
/// The longest message of such an error, in characters: validation quotes names.
const MAX_MESSAGE_CHARS: usize = 200;
/// The largest response, in bytes.
const MAX_RESPONSE_BYTES: usize = 10 * 1024 * 1024;

/// The response to an operation, by how the operation ended.
#[derive(Clone, Debug)]
pub enum OperationResponse {
    /// It was not executed: the errors as a JSON array.
    Refused(Bytes),
    /// It was not executed because a limit of the token is exhausted, and may be repeated after so many seconds. A JSON
    /// array as above.
    Limited(Bytes, u32),
    /// It was executed, at least in part: the whole GraphQL response as a JSON object.
    Executed(Bytes),
    /// It has no data because the database does not answer, and may be repeated. A JSON object as above.
    Unavailable(Bytes),
    /// The server failed while it executed the operation; the outcome is unknown. A JSON object as above.
    Failed(Bytes),
}

impl OperationResponse {
    /// The response that the schema gave. If it has errors, but neither data nor a path, it comes from
    /// validation, and nothing was executed. Of a field that the caller may not use, the error has a path.
    pub fn of(mut response: Response, request_id: Uuid) -> Self {
        let errors = std::mem::take(&mut response.errors).into_iter();
        let refused = |error: &ServerError| error.path.is_empty() || Code::Forbidden.is_of(error);
        if response.data == Value::Null && errors.len() > 0 && errors.as_slice().iter().all(refused) {
            let limited = errors.as_slice().iter().find(|error| Code::RateLimited.is_of(error)).and_then(retry_after);
            let errors = Self::errors(errors.map(|error| with_request_id(error, request_id)));
            return match limited {
                Some(seconds) => Self::Limited(errors, seconds),
                None => Self::Refused(errors),
            };
        }
        // Errors of resolvers have codes. An error without one is the library's, about an argument.
        let completed = |error| with_request_id(with_code(error, Code::InvalidInput), request_id);
        response.errors = errors.map(completed).collect();
        let body = json::response(&response);
        if is_unavailable(&response) {
            Self::Unavailable(body.into())
        } else if body.len() <= MAX_RESPONSE_BYTES {
            Self::Executed(body.into())
        } else {
            let too_large = "The answer is too large; ask for less in one request.";
            Self::Executed(without_data(error(Code::AnswerTooLarge, too_large)))
        }
    }

    /// The response to an operation that was not executed.
    pub fn refused(errors: impl IntoIterator<Item = ServerError>) -> Self {
        Self::Refused(Self::errors(errors))
    }

    /// The first few errors about an operation that was not executed, as a JSON array. Their messages are cut
    /// to a readable length.
    pub fn errors(errors: impl IntoIterator<Item = ServerError>) -> Bytes {
        let shorten = |mut error: ServerError| {
            if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
                error.message.truncate(end);
                error.message.push('…');
            }
            with_code(error, Code::ValidationFailed)
        };
        let shown: Vec<ServerError> = errors.into_iter().take(MAX_ERRORS).map(shorten).collect();
        // Strings and numbers can always be serialised.
        serde_json::to_vec(&shown).unwrap_or_default().into()
    }

    /// The response to a query that took too long.
    pub fn timed_out() -> Self {
        Self::Executed(without_data(error(Code::ExecutionTimeout, "The operation took too long and was given up.")))
    }

    /// The response to a mutation that took too long.
    pub fn outcome_unknown(request_id: Uuid) -> Self {
        let message = "The change took too long and was given up: check whether it was made before you repeat it.";
        Self::Executed(without_data(with_request_id(error(Code::OutcomeUnknown, message), request_id)))
    }

    /// The response when the server's own code failed.
    pub fn failed(request_id: Uuid) -> Self {
        let failure = error(Code::Internal, "The server failed; this is our fault.");
        Self::Failed(without_data(with_request_id(failure, request_id)))
    }

    /// The whole GraphQL response as a JSON object.
    pub fn into_body(self) -> Bytes {
        match self {
            Self::Refused(errors) | Self::Limited(errors, _) => {
                [br#"{"errors":"#, errors.as_ref(), b"}"].concat().into()
            }
            Self::Executed(body) | Self::Unavailable(body) | Self::Failed(body) => body,
        }
    }

    /// The whole response of an operation that was executed without an error.
    pub fn without_errors(&self) -> Option<&Bytes> {
        match self {
            // Errors come first.
            Self::Executed(body) if body.starts_with(br#"{"data":"#) => Some(body),
            _ => None,
        }
    }

    /// The value of the label `outcome` in metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::Limited(..) => "refused",
            Self::Executed(_) => "executed",
            Self::Unavailable(_) => "unavailable",
            Self::Failed(_) => "broken",
        }
    }
}

/// Whether there is no data, and the database is the reason for all of it.
fn is_unavailable(response: &Response) -> bool {
    let nothing = match &response.data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|value| *value == Value::Null),
        _ => false,
    };
    nothing && !response.errors.is_empty() && response.errors.iter().all(|error| Code::Unavailable.is_of(error))
}

fn without_data(error: ServerError) -> Bytes {
    json::response(&Response::from_errors(vec![error])).into()
}

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, value};

    use super::*;
    use crate::graphql::error::ApiError;

    fn of(response: Response) -> OperationResponse {
        OperationResponse::of(response, Uuid::nil())
    }

    fn text(response: OperationResponse) -> String {
        String::from_utf8(response.into_body().to_vec()).expect("UTF-8")
    }

    #[test]
    fn errors_without_data_or_path_mean_that_nothing_was_executed() {
        let invalid = Response::from_errors(vec![ServerError::new("Unknown field", None)]);
        let response = of(invalid);
        assert!(matches!(response, OperationResponse::Refused(_)));
        assert_eq!(
            text(response),
            r#"{"errors":[{"message":"Unknown field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#
        );
        let nulled = ServerError::new("boom", None).with_path(vec![PathSegment::Field("a".into())]);
        let response = of(Response::from_errors(vec![nulled]));
        assert!(matches!(response, OperationResponse::Executed(_)));
        assert!(response.without_errors().is_none());
        assert_eq!(
            text(response),
            r#"{"errors":[{"message":"boom","path":["a"],"extensions":{"code":"BAD_USER_INPUT"}}],"data":null}"#
        );
        let fine = of(Response::new(value!({ "a": 1 })));
        assert!(fine.without_errors().is_some());
        assert_eq!(text(fine), r#"{"data":{"a":1}}"#);
    }

    #[test]
    fn refusals_are_few_and_short_and_keep_their_own_code() {
        let mut errors = vec![error(Code::TooComplex, "first")];
        errors.extend((0..5000).map(|_| ServerError::new("é".repeat(30_000), None)));
        let body = text(OperationResponse::refused(errors));
        assert!(body.len() < 4096 && body.contains("QUERY_TOO_COMPLEX"), "{}", body.len());
        assert_eq!(body.matches("message").count(), MAX_ERRORS);
    }

    #[test]
    fn a_response_without_data_because_of_the_database_says_so_as_a_whole() {
        let gone = || ServerError::from(ApiError::Unavailable).with_path(vec![PathSegment::Field("a".into())]);
        let of = |data, errors: Vec<ServerError>| {
            let mut response = Response::new(data);
            response.errors = errors;
            of(response)
        };
        let response = of(Value::Null, vec![gone()]);
        assert!(matches!(response, OperationResponse::Unavailable(_)));
        assert!(text(response).contains(r#""code":"UNAVAILABLE","requestId""#));
        let unavailable = of(value!({ "a": null }), vec![gone(), gone()]);
        assert!(matches!(unavailable, OperationResponse::Unavailable(_)));
        let partial = of(value!({ "a": null, "b": 1 }), vec![gone()]);
        assert!(matches!(partial, OperationResponse::Executed(_)), "a part was found");
        let other = ServerError::new("boom", None).with_path(vec![PathSegment::Field("a".into())]);
        assert!(matches!(of(Value::Null, vec![gone(), other]), OperationResponse::Executed(_)), "another reason");
    }

    #[test]
    fn a_response_beyond_the_limit_is_withheld() {
        let big = Response::new(value!({ "a": ("x".repeat(MAX_RESPONSE_BYTES)) }));
        let response = of(big);
        assert!(response.without_errors().is_none());
        let body = text(response);
        assert!(body.contains("ANSWER_TOO_LARGE") && body.contains(r#""data":null"#));
    }
}
