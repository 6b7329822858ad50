//! The HTTP server: which paths there are, and what goes round all of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::console;
use crate::db::Db;
use crate::graphql;
use crate::graphql::gateway::Gateway;
use crate::jobs::Beat;
use crate::telemetry;

/// How long the workers may be silent before the server counts as not ready.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the database may take to answer the readiness check.
const PATIENCE: Duration = Duration::from_secs(2);

/// All paths.
pub fn router(gateway: Gateway, db: Db, beat: Beat) -> Router {
    let health = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Readiness { db, beat, heard: Arc::new(Mutex::new((0, now()))), shutdown: gateway.shutdown().clone() });
    let headers = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let mut router = Router::new()
        .merge(graphql::http::routes().with_state(gateway))
        .merge(health)
        .merge(console::routes())
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(CatchPanicLayer::new());
    for (name, value) in headers {
        router = router.layer(SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value)));
    }
    router
}

/// Serves until `shutdown`, and then what is open to its end.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> Result<(), String> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await.map_err(|error| format!("HTTP server: {error}"))
}

#[derive(Clone)]
struct Readiness {
    db: Db,
    beat: Beat,
    /// The workers' last round that was heard of, and when.
    heard: Arc<Mutex<(u64, Instant)>>,
    shutdown: CancellationToken,
}

#[expect(clippy::disallowed_methods, reason = "measures silence inside the process")]
fn now() -> Instant {
    Instant::now()
}

async fn ready(State(state): State<Readiness>) -> Response {
    let database = matches!(tokio::time::timeout(PATIENCE, state.db.ping()).await, Ok(Ok(())));
    let rounds = state.beat.rounds();
    let workers = {
        let mut heard = state.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.0 != rounds {
            *heard = (rounds, now());
        }
        rounds > 0 && heard.1.elapsed() < SILENCE
    };
    let stopping = state.shutdown.is_cancelled();
    let ready = database && workers && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let report = Json(json!({ "ready": ready, "database": database, "workers": workers, "stopping": stopping }));
    (status, [(header::CACHE_CONTROL, "no-store")], report).into_response()
}

async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}
