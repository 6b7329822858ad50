//! The HTTP server: its routes, its middleware, and the loop that accepts connections.

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
use crate::jobs::Heartbeat;
use crate::queue;
use crate::telemetry;

/// How long a client may take to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long to wait after accepting a connection failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the workers may be silent before the server reports that it is not ready.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the database may take to answer the readiness check.
const READINESS: Duration = Duration::from_secs(2);

/// Liveness, readiness and metrics, which every process serves. `heartbeat` is that of its workers, if it has any.
pub fn health(db: Db, heartbeat: Option<Heartbeat>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_with))
        .with_state(Readiness { db, heartbeat, shutdown })
}

/// The API, the console and the OAuth callback.
pub fn api(endpoint: Arc<Endpoint>, authorizations: Authorizations) -> Router {
    Router::new()
        .merge(graphql::transport::routes(endpoint))
        .merge(callback::routes().with_state(authorizations))
        .merge(console::routes())
}

/// The routes of a process whose database cannot be used yet.
pub fn not_ready() -> Router {
    let report = json!({ "ready": false, "database": false, "workers": false, "stopping": false });
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, Json(report)) }))
        .route("/metrics", get(metrics))
        .fallback(|| async { graphql::transport::problems::Problem::waiting().into_response("application/json") })
}

/// Adds the middleware of all routes: a panic becomes a status 500, and the headers that a browser needs.
pub fn with_middleware(router: Router) -> Router {
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

/// Serves until `shutdown` is cancelled, and then until the open connections have ended. Unlike axum's own loop, it
/// closes connections that take too long to send their headers.
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
                // Most likely there are no file descriptors left; others will be closed soon.
                warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Events are small and must not be delayed.
        let _ = stream.set_nodelay(true);
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone())).with_upgrades();
        let shutdown = shutdown.clone();
        open.spawn(async move {
            let mut connection = pin!(connection);
            // An error here is the client's: it disconnected, or does not speak HTTP.
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
    heartbeat: Option<Heartbeat>,
    shutdown: CancellationToken,
}

async fn ready(State(state): State<Readiness>) -> Response {
    let database = matches!(tokio::time::timeout(READINESS, state.db.ping()).await, Ok(Ok(())));
    let workers = state.heartbeat.is_none_or(|heartbeat| heartbeat.within(SILENCE));
    let stopping = state.shutdown.is_cancelled();
    let ready = database && workers && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let report = Json(json!({ "ready": ready, "database": database, "workers": workers, "stopping": stopping }));
    (status, [(header::CACHE_CONTROL, "no-store")], report).into_response()
}

async fn metrics_with(State(state): State<Readiness>) -> impl IntoResponse {
    let now = state.db.clock(Clock::System).now();
    let waited = tokio::time::timeout(READINESS, queue::longest_wait(state.db.read(), now)).await;
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
