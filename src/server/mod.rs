//! The HTTP server: its routes, its middleware, and the loop that accepts connections.

mod callback;
mod connection;
pub mod descriptors;
mod edge;
mod explain;
mod export;
mod lists;
mod oidc;
mod page;
mod places;
mod query;
mod sign_in;
mod tls;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use entity::growing;
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sea_orm::Iterable;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use self::connection::{Activity, Expired, Patience, Stream};
use self::places::{Place, Refused};
use self::sign_in::Attempts;
use crate::auth::ClientAddress;
use crate::clock::Clock;
use crate::console;
use crate::db::Db;
use crate::findings::posture::{self, Measured, Posture, PostureQuestion};
use crate::graphql;
use crate::graphql::error::RETRY_AFTER_S;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::problems::Problem;
use crate::instance::Instances;
use crate::instance::authorization::Authorizations;
use crate::jobs::Heartbeat;
use crate::oidc::Oidc;
use crate::people;
use crate::queue;
use crate::telemetry;
use crate::webhook;

pub use edge::Edge;
pub use places::Places;

const HEALTH: &str = "/healthz";
const READY: &str = "/readyz";
const METRICS: &str = "/metrics";
/// How long to wait after accepting a connection failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the workers may be silent before the server reports that it is not ready.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the database may take to answer the readiness check.
const READINESS: Duration = Duration::from_secs(2);
/// How long the gauges whose values are in the database may take. Together with the readiness check it is less than the
/// 10 seconds after which Prometheus gives up and takes the server for dead.
const MEASURING: Duration = Duration::from_secs(6);

/// Liveness, readiness and metrics, which every process serves. `heartbeat` is that of its workers, if it has any.
pub fn health(db: Db, heartbeat: Option<Heartbeat>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route(HEALTH, get(|| async { "ok" }))
        .route(READY, get(ready))
        .route(METRICS, get(metrics_with))
        .with_state(Readiness { db, heartbeat, shutdown })
}

/// The API, the console, exports, lists, signing in, and the callbacks of applications and of the identity provider.
pub fn api(
    endpoint: Arc<Endpoint>,
    instances: Instances,
    most_users: u64,
    authorizations: Authorizations,
    identity: Option<Oidc>,
) -> Router {
    let attempts = Attempts::default();
    Router::new()
        .merge(sign_in::routes(identity.clone(), endpoint.clone(), attempts.clone()))
        .merge(oidc::routes(identity, endpoint.clone(), attempts))
        .merge(export::routes(endpoint.clone(), instances.clone()))
        .merge(lists::routes(endpoint.clone(), instances, most_users))
        .merge(graphql::transport::routes(endpoint))
        .merge(callback::routes().with_state(authorizations))
        .merge(console::routes())
}

/// The routes of a process whose database cannot be used yet.
pub fn not_ready() -> Router {
    let report = json!({ "ready": false, "database": false, "workers": false, "stopping": false });
    Router::new()
        .route(HEALTH, get(|| async { "ok" }))
        .route(READY, get(|| async { (StatusCode::SERVICE_UNAVAILABLE, Json(report)) }))
        .route(METRICS, get(metrics))
        .fallback(|| async { Problem::waiting().readable().into_response("application/json") })
}

/// Serves until `shutdown` is cancelled, and then until the open connections have ended. Unlike axum's own loop, it
/// closes connections of clients that are silent or slow.
pub async fn serve(listener: &TcpListener, edge: &Edge, router: Router, shutdown: CancellationToken) {
    serve_with(Patience::default(), listener, edge, router, shutdown).await;
}

async fn serve_with(
    patience: Patience,
    listener: &TcpListener,
    edge: &Edge,
    router: Router,
    shutdown: CancellationToken,
) {
    let open = TaskTracker::new();
    if let Some(tls) = edge.tls.clone() {
        let stop = shutdown.clone();
        open.spawn(async move { stop.run_until_cancelled(tls.follow()).await });
    }
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let activity = Activity::new();
                // Without a place, the connection is closed at once.
                if let Ok(place) = edge.places.take(peer.ip(), &activity) {
                    let connection = Connection { edge: edge.clone(), activity, place };
                    open.spawn(connection.open(stream, patience, router.clone(), shutdown.clone()));
                }
            }
            Err(error) => {
                // Most likely there are no file descriptors left; others will be closed soon.
                warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    open.close();
    open.wait().await;
}

/// A connection that was accepted.
struct Connection {
    edge: Edge,
    activity: Activity,
    place: Place,
}

impl Connection {
    async fn open(self, stream: TcpStream, patience: Patience, router: Router, shutdown: CancellationToken) {
        // Events are small and must not be delayed.
        let _ = stream.set_nodelay(true);
        let stream = match &self.edge.tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let accepted = tokio::select! {
                    accepted = tokio::time::timeout(patience.head, tls.accept(stream)) => accepted.ok().flatten(),
                    _ = self.activity.expired(patience) => return,
                    () = shutdown.cancelled() => return,
                };
                let Some(stream) = accepted else { return };
                Stream::Encrypted(Box::new(stream))
            }
        };
        self.serve(stream, patience, router, shutdown).await;
    }

    async fn serve(self, stream: Stream, patience: Patience, router: Router, shutdown: CancellationToken) {
        let Self { edge, activity, place } = self;
        let gate = place.gate.clone();
        let io = TokioIo::new(activity.watch(stream, place));
        let (router, requests) = (TowerToHyperService::new(router), activity.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let answering = requests.begin();
            let is_health_check = [HEALTH, READY, METRICS].contains(&request.uri().path());
            let admitted = gate.admit(is_health_check, request.headers());
            let address = ClientAddress(gate.address(request.headers()));
            request.extensions_mut().insert(address);
            let admitted = admitted.map(|client| (client, respond(router.call(request))));
            let edge = edge.clone();
            async move {
                let (mut response, client) = match admitted {
                    Ok((client, response)) => (response.await, client),
                    Err(refused) => (busy(refused), None),
                };
                edge.complete(response.headers_mut());
                Ok::<_, Infallible>(answering.until_sent(response, client))
            }
        });
        // A WebSocket's handshake is answered in the client's spelling, see `graphql::transport::ws`.
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(None).preserve_header_case(true);
        let mut connection = pin!(http.serve_connection(io, service).with_upgrades());
        // An error here is the client's: it disconnected, or does not speak HTTP.
        tokio::select! {
            _ = connection.as_mut() => {}
            expired = activity.expired(patience) => {
                // One that has sent nothing yet is not idle for the library.
                if expired == Expired::Idle && !activity.is_new() {
                    connection.as_mut().graceful_shutdown();
                    // Time to send the end of a response.
                    let _ = tokio::time::timeout(patience.idle, connection).await;
                }
            }
            () = shutdown.cancelled() => {
                if activity.is_new() {
                    // Its client could not know, and its request is probably on its way.
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        () = activity.received_first() => {}
                        () = tokio::time::sleep(patience.first) => {}
                    }
                }
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// The response to a request for which there is no room.
fn busy(refused: Refused) -> Response {
    let problem = match refused {
        Refused::Full => Problem::unavailable("The server has too many connections."),
        Refused::Address => Problem::rate_limited(RETRY_AFTER_S, "Your address has too many requests at once."),
    };
    let close = HeaderValue::from_static("close");
    problem.with_header(header::CONNECTION, close).into_response("application/json")
}

/// The response of a route. A panic becomes a status 500. This and the headers of [`Edge`] are no layers of the router,
/// because it clones and boxes each layer for each request.
async fn respond(routed: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match AssertUnwindSafe(routed).catch_unwind().await {
        Ok(response) => response.unwrap_or_else(|never| match never {}),
        Err(_panic) => {
            error!("a route panicked; only its own request failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "The server failed; this is our fault.").into_response()
        }
    }
}

#[derive(Clone)]
struct Readiness {
    db: Db,
    heartbeat: Option<Heartbeat>,
    shutdown: CancellationToken,
}

/// What the readiness check finds.
struct Found {
    database: bool,
    workers: bool,
    stopping: bool,
}

impl Found {
    fn ready(&self) -> bool {
        self.database && self.workers && !self.stopping
    }
}

impl Readiness {
    async fn look(&self) -> Found {
        Found {
            database: matches!(tokio::time::timeout(READINESS, self.db.ping()).await, Ok(Ok(()))),
            workers: self.heartbeat.as_ref().is_none_or(|heartbeat| heartbeat.within(SILENCE)),
            stopping: self.shutdown.is_cancelled(),
        }
    }
}

async fn ready(State(state): State<Readiness>) -> Response {
    let found = state.look().await;
    let Found { database, workers, stopping } = found;
    let status = if found.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut report = json!({ "ready": found.ready(), "database": database, "workers": workers, "stopping": stopping });
    if let Some((trouble, _)) = state.db.trouble() {
        report["detail"] = trouble.sentence().into();
    }
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

async fn metrics_with(State(state): State<Readiness>) -> impl IntoResponse {
    let found = state.look().await;
    metrics::gauge!(telemetry::READY).set(f64::from(u8::from(found.ready())));
    if found.database {
        // What is not known in time keeps its last value.
        let _ = tokio::time::timeout(MEASURING, measure(&state.db)).await;
    }
    metrics().await
}

/// Sets the gauges whose values are in the database.
async fn measure(db: &Db) {
    let now = db.clock(Clock::System).now();
    if let Ok(ms) = queue::longest_wait(db.reserved(), now).await {
        metrics::gauge!("muster_oldest_due_job_seconds").set(Duration::from_millis(ms.unsigned_abs()));
    }
    if let Ok(tasks) = people::tasks::backlog(db.reserved()).await {
        metrics::gauge!("muster_people_backlog").set(u32::try_from(tasks).unwrap_or(u32::MAX));
    }
    if let Ok(people) = people::queries::by_state(db.reserved()).await {
        for (person_state, count) in people {
            metrics::gauge!("muster_people", "state" => growing::text(&person_state)).set(gauge(count));
        }
    }
    if let Ok(queued) = webhook::queries::queued(db.reserved()).await {
        metrics::gauge!("muster_webhook_deliveries_queued").set(gauge(queued.values().sum()));
    }
    if let Ok(posture) = posture::together(db.reserved(), None, &None, now).await {
        show_posture(&posture, now);
    }
    if let Some((open, busy)) = db.connections() {
        metrics::gauge!("muster_database_connections_open").set(open);
        metrics::gauge!("muster_database_connections_busy").set(busy);
    }
}

fn show_posture(posture: &Posture, now: i64) {
    for (kind, severity, count) in posture.open().all() {
        let labels = [("type", growing::text(&kind)), ("severity", growing::text(&severity))];
        metrics::gauge!("muster_findings", &labels).set(gauge(count));
    }
    for question in PostureQuestion::iter() {
        let Measured { yes, no, unknown, .. } = posture.measure(question);
        for (answer, count) in [("yes", yes), ("no", no), ("unknown", unknown)] {
            metrics::gauge!("muster_accounts", "measure" => question.name(), "answer" => answer).set(gauge(count));
        }
    }
    if let Some(at) = posture.evaluated_at {
        metrics::gauge!("muster_report_age_seconds").set(Duration::from_millis((now - at).max(0).unsigned_abs()));
    }
}

fn gauge(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}
