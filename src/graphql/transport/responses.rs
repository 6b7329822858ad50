//! What goes back to a client: GraphQL errors with a code, and the outcome of an
//! operation as JSON, ready to be sent by any transport.

use async_graphql::{ErrorExtensionValues, Name, Response, ServerError, Value};
use bytes::Bytes;
use serde::Serialize;

/// The most errors that one answer holds about a request that was not executed.
const MAX_ERRORS: usize = 5;
/// The longest message of such an error, in characters: validation quotes names.
const MAX_MESSAGE_CHARS: usize = 200;
/// The largest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 10 * 1024 * 1024;

/// The codes by which clients tell the refusals of the transports apart (`extensions.code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The parameters are not those of a GraphQL request.
    BadRequest,
    /// No valid token.
    Unauthenticated,
    /// A web page of another origin.
    ForeignOrigin,
    /// The database cannot be asked, or the server is stopping; try again.
    Unavailable,
    /// Neither GET nor POST, or a mutation by GET.
    MethodNotAllowed,
    /// `Accept` allows no media type in which the answer could be given.
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
    /// One of the limits of [`crate::graphql::guard`].
    TooComplex,
    /// An argument cannot be read as its type.
    InvalidInput,
    /// `operationName` is missing or names nothing.
    OperationUnresolved,
    /// `__schema` or `__type`, where they are switched off.
    IntrospectionDisabled,
    /// Too many operations at once on one WebSocket.
    TooManyOperations,
    /// The execution took too long and was given up.
    ExecutionTimeout,
    /// Nobody can say whether a change was made.
    OutcomeUnknown,
    /// It was executed, and the result withheld for its size.
    AnswerTooLarge,
    /// A fault of ours.
    Internal,
}

impl Code {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::Unauthenticated => "UNAUTHENTICATED",
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
            Self::OperationUnresolved => "OPERATION_RESOLUTION_FAILURE",
            Self::IntrospectionDisabled => "INTROSPECTION_DISABLED",
            Self::TooManyOperations => "TOO_MANY_OPERATIONS",
            Self::ExecutionTimeout => "EXECUTION_TIMEOUT",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::AnswerTooLarge => "ANSWER_TOO_LARGE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A GraphQL error of the transports.
pub fn error(code: Code, message: &str) -> ServerError {
    with_code(ServerError::new(message, None), code)
}

fn with_code(mut error: ServerError, code: Code) -> ServerError {
    let values = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    if values.get("code").is_none() {
        values.set("code", code.as_str());
    }
    error
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing was executed: the errors that say why, as a JSON array.
    Refused(Bytes),
    /// It was executed, at least in part: the whole GraphQL response, as a JSON object.
    Executed(Bytes),
    /// It came to nothing, because the database cannot be used; worth another try. A JSON object as above.
    Unavailable(Bytes),
    /// We broke while executing it; what it did is unknown. A JSON object as above.
    Broken(Bytes),
}

impl Answer {
    /// The answer for what the schema made of an operation. A response with errors but neither
    /// data nor a path is one of validation: nothing was executed.
    pub fn of(response: &Response) -> Self {
        let refused = response.data == Value::Null
            && !response.errors.is_empty()
            && response.errors.iter().all(|error| error.path.is_empty());
        if refused {
            return Self::refused(&response.errors);
        }
        // Resolvers name their codes; what has none is the library's word on an argument.
        let errors: Vec<_> =
            response.errors.iter().cloned().map(|error| with_code(error, Code::InvalidInput)).collect();
        match serde_json::to_vec(&Body {
            errors: &errors,
            data: &response.data,
            extensions: (!response.extensions.is_empty()).then_some(&response.extensions),
        }) {
            Ok(body) if is_unavailable(&errors, &response.data) => Self::Unavailable(body.into()),
            Ok(body) if body.len() <= MAX_ANSWER_BYTES => Self::Executed(body.into()),
            Ok(_) => Self::Executed(without_data(&error(
                Code::AnswerTooLarge,
                "The answer is too large; ask for less in one request.",
            ))),
            Err(_) => Self::broken(),
        }
    }

    /// The answer to what was not executed, with the first few of the errors, cut to a
    /// readable length.
    pub fn refused(errors: &[ServerError]) -> Self {
        let shown: Vec<ServerError> = errors
            .iter()
            .take(MAX_ERRORS)
            .cloned()
            .map(|mut error| {
                if let Some((end, _)) = error.message.char_indices().nth(MAX_MESSAGE_CHARS) {
                    error.message.truncate(end);
                    error.message.push('…');
                }
                with_code(error, Code::ValidationFailed)
            })
            .collect();
        match serde_json::to_vec(&shown) {
            Ok(errors) => Self::Refused(errors.into()),
            Err(_) => Self::broken(),
        }
    }

    /// The answer to what took too long.
    pub fn timed_out() -> Self {
        Self::Executed(without_data(&error(Code::ExecutionTimeout, "The operation took too long and was given up.")))
    }

    /// The answer to a change that took too long to say what became of it.
    pub fn uncertain() -> Self {
        let message = "The change took too long and was given up: look whether it was made before you repeat it.";
        Self::Executed(without_data(&error(Code::OutcomeUnknown, message)))
    }

    /// The answer where our own code failed.
    pub fn broken() -> Self {
        Self::Broken(without_data(&error(Code::Internal, "The server failed; this is our fault.")))
    }

    /// The whole GraphQL response as a JSON object.
    pub fn into_body(self) -> Bytes {
        match self {
            Self::Refused(errors) => [br#"{"errors":"#, errors.as_ref(), b"}"].concat().into(),
            Self::Executed(body) | Self::Unavailable(body) | Self::Broken(body) => body,
        }
    }

    /// The word under which metrics count it.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Executed(_) => "executed",
            Self::Unavailable(_) => "unavailable",
            Self::Broken(_) => "broken",
        }
    }
}

/// Whether the database is the reason for an error, and it may be gone in a moment.
pub fn is_for_the_database(error: &ServerError) -> bool {
    let code = Value::Enum(Name::new(Code::Unavailable.as_str()));
    error.extensions.as_ref().is_some_and(|extensions| extensions.get("code") == Some(&code))
}

/// Whether there is no data, and the database is the reason for all of it.
fn is_unavailable(errors: &[ServerError], data: &Value) -> bool {
    let nothing = match data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|value| *value == Value::Null),
        _ => false,
    };
    nothing && !errors.is_empty() && errors.iter().all(is_for_the_database)
}

/// Errors before data, as the specification asks for.
#[derive(Serialize)]
struct Body<'a, D: Serialize, X: Serialize> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<X>,
}

fn without_data(error: &ServerError) -> Bytes {
    let body = Body { errors: std::slice::from_ref(error), data: (), extensions: None::<()> };
    serde_json::to_vec(&body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use async_graphql::{PathSegment, value};

    use super::*;

    fn text(answer: Answer) -> String {
        String::from_utf8(answer.into_body().to_vec()).expect("UTF-8")
    }

    #[test]
    fn errors_without_data_or_path_mean_that_nothing_was_executed() {
        let invalid = Response::from_errors(vec![ServerError::new("Unknown field", None)]);
        let answer = Answer::of(&invalid);
        assert!(matches!(answer, Answer::Refused(_)));
        assert_eq!(
            text(answer),
            r#"{"errors":[{"message":"Unknown field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#
        );
        let nulled = ServerError::new("boom", None).with_path(vec![PathSegment::Field("a".into())]);
        let answer = Answer::of(&Response::from_errors(vec![nulled]));
        assert!(matches!(answer, Answer::Executed(_)));
        assert_eq!(
            text(answer),
            r#"{"errors":[{"message":"boom","path":["a"],"extensions":{"code":"BAD_USER_INPUT"}}],"data":null}"#
        );
        let fine = Answer::of(&Response::new(value!({ "a": 1 })));
        assert_eq!(text(fine), r#"{"data":{"a":1}}"#);
    }

    #[test]
    fn refusals_are_few_and_short_and_keep_their_own_code() {
        let mut errors = vec![error(Code::TooComplex, "first")];
        errors.extend((0..5000).map(|_| ServerError::new("é".repeat(30_000), None)));
        let body = text(Answer::refused(&errors));
        assert!(body.len() < 4096 && body.contains("QUERY_TOO_COMPLEX"), "{}", body.len());
        assert_eq!(body.matches("message").count(), MAX_ERRORS);
    }

    #[test]
    fn an_answer_without_data_for_the_database_s_sake_says_so_as_a_whole() {
        let gone = || {
            let error: async_graphql::Error = crate::graphql::error::ApiError::Unavailable(uuid::Uuid::nil()).into();
            error.into_server_error(async_graphql::Pos::default()).with_path(vec![PathSegment::Field("a".into())])
        };
        let of = |data, errors: Vec<ServerError>| {
            let mut response = Response::new(data);
            response.errors = errors;
            Answer::of(&response)
        };
        let answer = of(Value::Null, vec![gone()]);
        assert!(matches!(answer, Answer::Unavailable(_)));
        assert!(text(answer).contains(r#""code":"UNAVAILABLE","requestId""#));
        assert!(matches!(of(value!({ "a": null }), vec![gone(), gone()]), Answer::Unavailable(_)));
        assert!(matches!(of(value!({ "a": null, "b": 1 }), vec![gone()]), Answer::Executed(_)), "a part was found");
        let other = ServerError::new("boom", None).with_path(vec![PathSegment::Field("a".into())]);
        assert!(matches!(of(Value::Null, vec![gone(), other]), Answer::Executed(_)), "another reason");
    }

    #[test]
    fn an_answer_beyond_the_limit_is_withheld() {
        let big = Response::new(value!({ "a": ("x".repeat(MAX_ANSWER_BYTES)) }));
        let body = text(Answer::of(&big));
        assert!(body.contains("ANSWER_TOO_LARGE") && body.contains(r#""data":null"#));
    }
}
