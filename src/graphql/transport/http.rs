//! GraphQL over HTTP, and the way to the other two transports.
//!
//! Nothing of a request is parsed before its caller is known, by the token in its `Authorization` header or by the
//! cookie of a session (see [`callers`]). GET executes queries only, and POST accepts JSON only, so that no
//! web page can send an operation for a member without a CORS preflight. Status and media type
//! follow the GraphQL-over-HTTP specification: a 4xx means that nothing was executed. There are no
//! batches, no uploads and no compressed requests.
//!
//! When a client disconnects, its query is dropped, but a mutation that has begun is completed
//! (see [`super::execution`]).

use std::sync::Arc;
use std::time::Duration;

use async_graphql::ServerError;
use async_graphql::parser::types::OperationType;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::cookies::ConsoleCookies;
use super::endpoint::Endpoint;
use super::execution::{self, Transport};
use super::negotiation::{Accepted, MediaType, accepted, is_json};
use super::params::Params;
use super::problems::Problem;
use super::responses::OperationResponse;
use super::{callers, sse, ws};
use crate::auth::{Caller, ClientAddress};
use crate::encoding;
use crate::graphql::error::{Code, RETRY_AFTER_S};
use crate::graphql::guard::Operation;

/// The largest body, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How many bytes beyond that are read and discarded before the connection is closed.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;
/// Shorter answers are never compressed. Those with a secret are shorter: how far it is compressed would tell of it.
const MIN_COMPRESSED_BYTES: usize = 2048;
/// The longest time for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves `/graphql`.
pub async fn serve(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let accepted = accepted(&parts.headers);
    let address = parts.extensions.get::<ClientAddress>().copied();
    let served = if parts.method == Method::GET && ws::wants_upgrade(&parts.headers) {
        ws::upgrade(&endpoint, parts).await
    } else if let Some(problem) = ws::explain(&endpoint, &parts) {
        Err(problem)
    } else {
        respond(&endpoint, parts, body, accepted).await
    };
    let mut response = served.unwrap_or_else(|problem| {
        execution::count_refused(Transport::Http);
        if let Some(code) = problem.is_about_access() {
            endpoint.count_anonymous(address, code);
        }
        problem.into_response(accepted.single.unwrap_or(MediaType::Json).content_type())
    });
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn respond(endpoint: &Endpoint, parts: Parts, body: Body, accepted: Accepted) -> Result<Response, Problem> {
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Problem::method_not_allowed("GET, POST", "GraphQL is served by GET and POST."));
    }
    let caller = callers::of_request(endpoint, &parts).await?;
    let budget = endpoint.budgets.of(&caller);
    let address = parts.extensions.get::<ClientAddress>().copied();
    budget.request().inspect_err(|_| endpoint.count_limited(&caller, address))?;
    if accepted.single.is_none() && !accepted.events {
        return Err(Problem::not_acceptable(
            "Accept must allow application/graphql-response+json, application/json or text/event-stream.",
        ));
    }
    let params = if parts.method == Method::GET {
        Params::from_query_string(parts.uri.query().unwrap_or_default())
    } else {
        Params::from_body(&read_json(&parts.headers, body).await?)
    }
    .map_err(|error| Problem::of(StatusCode::BAD_REQUEST, error))?;

    match endpoint.executor.check(params) {
        Ok(operation) => execute(endpoint, caller, operation.within(budget).from(address), &parts, accepted).await,
        Err(error) => {
            endpoint.count_refused(&caller, address, &error);
            Ok(refuse(error, accepted, &parts.headers))
        }
    }
}

async fn execute(
    endpoint: &Endpoint,
    caller: Caller,
    operation: Operation,
    parts: &Parts,
    accepted: Accepted,
) -> Result<Response, Problem> {
    let kind = operation.kind();
    if kind == OperationType::Mutation && parts.method == Method::GET {
        return Err(Problem::method_not_allowed("POST", "Mutations are served by POST."));
    }
    let Endpoint { executor, access, origin, shutdown, .. } = endpoint;
    match accepted.single {
        Some(media_type) if kind != OperationType::Subscription => {
            let cookies = ConsoleCookies::for_request(&parts.headers, origin);
            let operation = match &cookies {
                Some(cookies) => operation.with_data(cookies.clone()),
                None => operation,
            };
            let _place = operation.budget().operation().await?;
            let executed = executor.execute(caller, operation, Transport::Http).await;
            let mut response = single(executed, media_type, &parts.headers);
            if let Some(cookie) = cookies.and_then(|cookies| cookies.header()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        _ if !accepted.events => {
            Err(Problem::not_acceptable("Subscriptions are served as text/event-stream, and over WebSocket."))
        }
        _ if shutdown.is_cancelled() => Err(Problem::stopping()),
        _ => Ok(sse::stream(executor, access.clone(), shutdown.clone(), caller, operation)?),
    }
}

/// The response to an operation that the guard refused. A client that accepts only events gets an event.
fn refuse(error: ServerError, accepted: Accepted, request: &HeaderMap) -> Response {
    execution::count_refused(Transport::Http);
    let asks_for_document = Code::PersistedQueryNotFound.is_of(&error);
    let response = OperationResponse::refused([error]);
    let Some(media_type) = accepted.single else { return sse::refusal(response) };
    let mut response = single(response, media_type, request);
    if asks_for_document {
        // Some of Apollo's clients read the body of this status only, and the request is usual.
        *response.status_mut() = StatusCode::OK;
    }
    response
}

fn single(response: OperationResponse, media_type: MediaType, request: &HeaderMap) -> Response {
    let status = match (&response, media_type) {
        (OperationResponse::Refused(_), MediaType::GraphqlResponse) => StatusCode::BAD_REQUEST,
        (OperationResponse::Refused(_), MediaType::Json) | (OperationResponse::Executed(_), _) => StatusCode::OK,
        (OperationResponse::Limited(..), _) => StatusCode::TOO_MANY_REQUESTS,
        (OperationResponse::Unavailable(_), _) => StatusCode::SERVICE_UNAVAILABLE,
        (OperationResponse::Failed(_), _) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let retry_after = match response {
        OperationResponse::Limited(_, seconds) => Some(seconds),
        OperationResponse::Unavailable(_) => Some(RETRY_AFTER_S),
        _ => None,
    };
    let content_type = [(header::CONTENT_TYPE, media_type.content_type())];
    let body = response.into_body();
    let compressed =
        Some(&body).filter(|body| body.len() >= MIN_COMPRESSED_BYTES).and_then(|body| encoding::quickly(request, body));
    let mut response = match compressed {
        Some(body) => (status, content_type, [(header::CONTENT_ENCODING, "gzip")], body).into_response(),
        None => (status, content_type, body).into_response(),
    };
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub async fn read_json(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_media_type("Compressed bodies are not accepted.")
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    }
    if !is_json(headers) {
        return Err(Problem::unsupported_media_type("The body must be application/json in UTF-8."));
    }
    // A client that waits for permission to send its body can be refused before it does.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if headers.contains_key(header::EXPECT) && announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Problem::payload_too_large(MAX_BODY_BYTES));
    }
    tokio::time::timeout(BODY_TIMEOUT, collect(body)).await.unwrap_or_else(|_elapsed| {
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, "The body took too long to arrive.")
            .with_header(header::CONNECTION, HeaderValue::from_static("close")))
    })
}

/// Reads the body. One that is somewhat too large is read to its end and discarded, because few
/// clients read a response before they have sent everything. One that is far too large is cut off.
async fn collect(body: Body) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("The body is not complete."))?;
        length += chunk.len();
        if length > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
            break;
        } else if length > MAX_BODY_BYTES {
            whole = BytesMut::new();
        } else {
            whole.extend_from_slice(&chunk);
        }
    }
    if length > MAX_BODY_BYTES {
        return Err(Problem::payload_too_large(MAX_BODY_BYTES));
    }
    Ok(whole.freeze())
}
