//! A request that HTTP itself refuses, before there is an operation.

use async_graphql::ServerError;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::gateway::AccessError;
use super::responses::{Answer, Code, error};
use crate::graphql::error::UNAVAILABLE;

/// A status, the GraphQL error that explains it, and the headers that belong to it.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    error: ServerError,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Problem {
    /// A refusal in the words of the transports.
    pub fn new(status: StatusCode, code: Code, message: &str) -> Self {
        Self::of(status, error(code, message))
    }

    /// A refusal that carries an error made elsewhere.
    pub fn of(status: StatusCode, error: ServerError) -> Self {
        Self(Box::new(Parts { status, error, headers: Vec::new() }))
    }

    /// The same, with a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// 405, with the methods that are allowed instead.
    pub fn method(allowed: &'static str, message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message).with(header::ALLOW, allowed)
    }

    /// 415.
    pub fn media_type(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, message)
    }

    /// 413.
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge, "The body is larger than 1 MiB.")
            .with(header::CONNECTION, "close")
    }

    /// 503, while the server stops.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "The server is stopping.")
            .with(header::RETRY_AFTER, "5")
    }

    /// 503, until the database can be used.
    pub fn waiting() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, UNAVAILABLE).with(header::RETRY_AFTER, "5")
    }

    /// The answer, as JSON of the given media type.
    pub fn into_response(self, content_type: &'static str) -> Response {
        let Parts { status, error, headers } = *self.0;
        let body = Answer::refused(&[error]).into_body();
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        for (name, value) in headers {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused => Self::new(
                StatusCode::UNAUTHORIZED,
                Code::Unauthenticated,
                "A valid token is needed: Authorization: Bearer <token>.",
            )
            .with(header::WWW_AUTHENTICATE, "Bearer"),
            AccessError::Unavailable => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "The token cannot be checked at the moment; try again.",
            )
            .with(header::RETRY_AFTER, "5"),
        }
    }
}
