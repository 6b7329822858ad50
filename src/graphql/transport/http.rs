//! GraphQL over HTTP, and the way to the other two doors.
//!
//! Promises: nobody without a valid token has anything parsed; a token is read
//! from the `Authorization` header only; GET executes queries only and POST
//! takes JSON only, so that no web page can act for a member without asking
//! first; status and media type follow the GraphQL-over-HTTP specification,
//! with a 4xx only where nothing was executed. No batches, no uploads, no
//! persisted queries, no compression of requests.
//!
//! Cut in the middle: a body that is not complete after 30 s is given up; when
//! the client goes, its query goes too, but a mutation that has begun is
//! finished (see [`crate::graphql::transport::execution`]).

use std::time::Duration;

use async_graphql::{ServerError, parser::types::OperationType};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::cookies::Browser;
use super::execution::{self, Door};
use super::gateway::Gateway;
use super::negotiation::{Accepted, Media, accepted, is_json};
use super::params::Params;
use super::problems::Problem;
use super::responses::{Answer, Code};
use super::{bearer, sse, ws};
use crate::auth::Caller;
use crate::graphql::error::RETRY_AFTER_S;
use crate::graphql::guard::{self, Operation};

/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How much more than that is read, and thrown away, before the connection is cut.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;
/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// `/graphql`, with all three transports behind it.
pub fn routes() -> Router<Gateway> {
    Router::new().route("/graphql", any(door))
}

async fn door(State(gateway): State<Gateway>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let accepted = accepted(&parts.headers);
    let served = if parts.method == Method::GET && ws::wants_upgrade(&parts.headers) {
        ws::upgrade(gateway, parts).await
    } else {
        serve(gateway, parts, body, accepted).await
    };
    let mut response = served.unwrap_or_else(|problem| {
        execution::count_refused(Door::Http);
        problem.into_response(accepted.single.unwrap_or(Media::Json).content_type())
    });
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn serve(gateway: Gateway, parts: Parts, body: Body, accepted: Accepted) -> Result<Response, Problem> {
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Problem::method("GET, POST", "GraphQL is served by GET and POST."));
    }
    let caller = bearer::authenticate(&gateway, bearer::credentials(&parts.headers)).await?;
    if accepted.single.is_none() && !accepted.events {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::NotAcceptable,
            "Accept must allow application/graphql-response+json, application/json or text/event-stream.",
        ));
    }
    let params = if parts.method == Method::GET {
        Params::from_query_string(parts.uri.query().unwrap_or_default())
    } else {
        Params::from_body(&read_json(&parts.headers, body).await?)
    }
    .map_err(|error| Problem::of(StatusCode::BAD_REQUEST, error))?;

    match guard::vet(params, gateway.introspection()) {
        Ok(operation) => answer(gateway, caller, operation, &parts, accepted).await,
        Err(error) => Ok(refuse(&error, accepted)),
    }
}

async fn answer(
    gateway: Gateway,
    caller: Caller,
    operation: Operation,
    parts: &Parts,
    accepted: Accepted,
) -> Result<Response, Problem> {
    let kind = operation.kind();
    if kind == OperationType::Mutation && parts.method == Method::GET {
        return Err(Problem::method("POST", "Mutations are served by POST."));
    }
    match accepted.single {
        Some(media) if kind != OperationType::Subscription => {
            let browser = Browser::of(&parts.headers, &gateway);
            let operation = match &browser {
                Some(browser) => operation.with(browser.clone()),
                None => operation,
            };
            let mut response = single(execution::execute(&gateway, caller, operation, Door::Http).await, media);
            if let Some(cookie) = browser.and_then(|browser| browser.cookie()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        _ if !accepted.events => Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Code::NotAcceptable,
            "Subscriptions are served as text/event-stream, and over WebSocket.",
        )),
        _ if gateway.shutdown().is_cancelled() => Err(Problem::stopping()),
        _ => Ok(sse::stream(gateway, caller, operation)),
    }
}

/// The answer to what the guard refused. A client that reads nothing but events gets an event.
fn refuse(error: &ServerError, accepted: Accepted) -> Response {
    execution::count_refused(Door::Http);
    let answer = Answer::refused(std::slice::from_ref(error));
    match accepted.single {
        Some(media) => single(answer, media),
        None => sse::refusal(answer),
    }
}

fn single(answer: Answer, media: Media) -> Response {
    let status = match (&answer, media) {
        (Answer::Refused(_), Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (Answer::Refused(_), Media::Json) | (Answer::Executed(_), _) => StatusCode::OK,
        (Answer::Unavailable(_), _) => StatusCode::SERVICE_UNAVAILABLE,
        (Answer::Broken(_), _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = (status, [(header::CONTENT_TYPE, media.content_type())], answer.into_body()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    }
    response
}

async fn read_json(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(
            Problem::media_type("Compressed bodies are not accepted.").with(header::ACCEPT_ENCODING, "identity")
        );
    }
    if !is_json(headers) {
        return Err(Problem::media_type("The body must be application/json in UTF-8."));
    }
    // A client that asks before it sends can be told at once.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if headers.contains_key(header::EXPECT) && announced.is_some_and(|n| n > MAX_BODY_BYTES) {
        return Err(Problem::too_large());
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body)).await.unwrap_or_else(|_elapsed| {
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, "The body took too long to arrive.")
            .with(header::CONNECTION, "close"))
    })
}

/// Gathers the body. One that is somewhat too large is read to its end and thrown away, since few
/// clients read an answer before they have sent everything; one far too large is cut off.
async fn collect(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut arrived = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, Code::BadRequest, "The body is not complete."))?;
        arrived += chunk.len();
        if arrived > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
            return Err(Problem::too_large());
        } else if arrived > MAX_BODY_BYTES {
            whole = BytesMut::new();
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    if arrived > MAX_BODY_BYTES {
        return Err(Problem::too_large());
    }
    Ok(whole.freeze())
}
