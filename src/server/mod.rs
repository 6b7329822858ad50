//! The HTTP server: which paths there are, and what goes round all of them.

mod callback;
mod explain;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::warn;

use crate::clock::Clock;
use crate::console;
use crate::db::Db;
use crate::graphql;
use crate::graphql::transport::endpoint::Endpoint;
use crate::instance::authorization::Authorizations;
use crate::jobs::Beat;
use crate::queue;
use crate::telemetry;

/// How long a client may take to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the workers may be silent before the server counts as not ready.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the database may take to answer the readiness check.
const PATIENCE: Duration = Duration::from_secs(2);

/// What every process has: whether it lives, whether it can be used, what it did. `beat` is
/// that of the workers, if it has any.
pub fn health(db: Db, beat: Option<Beat>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_with))
        .with_state(Readiness { db, beat, shutdown })
}

/// What members and their browsers come for.
pub fn doors(endpoint: Arc<Endpoint>, authorizations: Authorizations) -> Router {
    Router::new()
        .merge(graphql::transport::routes(endpoint))
        .merge(callback::routes().with_state(authorizations))
        .merge(console::routes())
}

/// All paths of a process whose database cannot be used yet.
pub fn waiting() -> Router {
    let report = json!({ "ready": false, "database": false, "workers": false, "stopping": false });
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, Json(report)) }))
        .route("/metrics", get(metrics))
        .fallback(|| async { graphql::transport::problems::Problem::waiting().into_response("application/json") })
}

/// With what goes round all paths.
pub fn dressed(router: Router) -> Router {
    let headers = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let mut router = router.layer(CatchPanicLayer::new());
    for (name, value) in headers {
        router = router.layer(SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        ));
    }
    router
}

/// Serves until `shutdown`, and then what is open to its end. A connection that takes
/// too long to send its headers is closed, which axum's own loop does not do.
pub async fn serve(listener: &TcpListener, router: Router, shutdown: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others will be closed in a moment.
                warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Events are small, and waited for.
        let _ = stream.set_nodelay(true);
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone())).with_upgrades();
        let shutdown = shutdown.clone();
        open.spawn(async move {
            let mut connection = pin!(connection);
            // An error here is the other side's: it left, or does not speak HTTP.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    open.close();
    open.wait().await;
}

#[derive(Clone)]
struct Readiness {
    db: Db,
    beat: Option<Beat>,
    shutdown: CancellationToken,
}

async fn ready(State(state): State<Readiness>) -> Response {
    let database = matches!(tokio::time::timeout(PATIENCE, state.db.ping()).await, Ok(Ok(())));
    let workers = state.beat.is_none_or(|beat| beat.within(SILENCE));
    let stopping = state.shutdown.is_cancelled();
    let ready = database && workers && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let report = Json(json!({ "ready": ready, "database": database, "workers": workers, "stopping": stopping }));
    (status, [(header::CACHE_CONTROL, "no-store")], report).into_response()
}

async fn metrics_with(State(state): State<Readiness>) -> impl IntoResponse {
    let now = state.db.clock(Clock::System).now();
    let waited = tokio::time::timeout(PATIENCE, queue::longest_wait(state.db.read(), now)).await;
    if let Ok(Ok(ms)) = waited {
        metrics::gauge!("muster_oldest_due_job_seconds").set(Duration::from_millis(ms.unsigned_abs()));
    }
    if let Some((open, busy)) = state.db.connections() {
        metrics::gauge!("muster_database_connections_open").set(open);
        metrics::gauge!("muster_database_connections_busy").set(busy);
    }
    metrics().await
}

async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}
