//! Requests that are refused at the level of HTTP, before there is an operation.

use async_graphql::ServerError;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::bearer::AccessError;
use super::responses::OperationResponse;
use crate::graphql::budget::Exhausted;
use crate::graphql::error::{Code, RETRY_AFTER_S, UNAVAILABLE, error, rate_limited};

/// The media type outside of the GraphQL endpoint.
pub const JSON: &str = "application/json; charset=utf-8";

/// A status, the GraphQL error that explains it, and its headers.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    error: ServerError,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self::of(status, error(code, message))
    }

    pub fn of(status: StatusCode, error: ServerError) -> Self {
        Self(Box::new(Parts { status, error, headers: Vec::new() }))
    }

    /// Its code, if somebody was refused who could not say who they are.
    pub fn is_about_access(&self) -> Option<Code> {
        [Code::Unauthenticated, Code::ForeignOrigin].into_iter().find(|code| code.is_of(&self.0.error))
    }

    /// Its code.
    pub fn code(&self) -> Code {
        Code::of(&self.0.error)
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message)
    }

    /// 405, with the methods that are allowed.
    pub fn method_not_allowed(allowed: &'static str, message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message)
            .with_header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// 406.
    pub fn not_acceptable(message: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, Code::NotAcceptable, message)
    }

    /// 415.
    pub fn unsupported_media_type(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, message)
    }

    /// 413.
    pub fn payload_too_large(limit: usize) -> Self {
        let message = format!("The body is larger than {} KiB.", limit / 1024);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge, message)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 503, while the server is stopping.
    pub fn stopping() -> Self {
        Self::unavailable("The server is stopping.")
    }

    /// 503, until the database can be used.
    pub fn waiting() -> Self {
        Self::unavailable(UNAVAILABLE)
    }

    /// 503, for now.
    pub fn unavailable(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            .with_header(header::RETRY_AFTER, RETRY_AFTER_S)
    }

    /// 429, and after how many seconds the request may be repeated.
    pub fn rate_limited(seconds: u32, message: &str) -> Self {
        Self::of(StatusCode::TOO_MANY_REQUESTS, rate_limited(seconds, message))
            .with_header(header::RETRY_AFTER, seconds)
    }

    /// Lets pages of every origin read it. It must not contain anything that a page may not know.
    #[must_use]
    pub fn readable(self) -> Self {
        self.with_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
    }

    /// The response, as JSON of this media type.
    pub fn into_response(self, content_type: &'static str) -> Response {
        let Parts { status, error, headers } = *self.0;
        let body = OperationResponse::refused([error]).into_body();
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

impl From<Exhausted> for Problem {
    fn from(exhausted: Exhausted) -> Self {
        let seconds = exhausted.seconds;
        Self::of(StatusCode::TOO_MANY_REQUESTS, exhausted.into()).with_header(header::RETRY_AFTER, seconds)
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused => Self::new(
                StatusCode::UNAUTHORIZED,
                Code::Unauthenticated,
                "Sign in, or send a valid token: Authorization: Bearer <token>.",
            )
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            AccessError::Unavailable => {
                Self::unavailable("Your session or token cannot be checked at the moment; try again.")
            }
        }
    }
}
