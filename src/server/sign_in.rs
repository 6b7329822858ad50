//! Signing in and out, for the console: `/session` with a password, `/session/link` with a one-time link.
//!
//! A request is JSON from a page of this server. A session that the browser had before ends, so that nobody can have
//! chosen it. An account can be tried a few times, see [`crate::auth::attempts`]; so can a network, which is counted
//! in memory. This machine is not counted, because a proxy may be behind it, and neither is a browser that is known:
//! strangers in the same office must not keep it out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use entity::audit_entry::Action;
use ipnet::IpNet;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::{Instrument, error_span, warn};
use uuid::Uuid;

use crate::audit::{Actor, Entry, Subject};
use crate::auth::links::Entered;
use crate::auth::members::SignIn;
use crate::auth::sessions::{Client, NewSession};
use crate::auth::{ClientAddress, network, place};
use crate::error::Error;
use crate::graphql::error::Code;
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::http::read_json;
use crate::graphql::transport::problems::{JSON, Problem};
use crate::oidc::Oidc;

/// How often an address may fail to sign in within a window.
const FAILURES: u32 = 30;
/// The same for all networks of a place, which can have very many of IPv6.
const FAILURES_PER_PLACE: u32 = 120;
const WINDOW: Duration = Duration::from_mins(15);
/// How many networks are counted.
const NETWORKS: usize = 10_000;

#[derive(Clone)]
struct Door {
    oidc: Option<Oidc>,
    endpoint: Arc<Endpoint>,
    attempts: Attempts,
}

/// Finds a request in the log. In the extensions of the request.
#[derive(Clone, Copy)]
struct RequestId(Uuid);

/// The failed attempts of each network. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<HashMap<IpNet, Failures>>>);

/// The failures of a network since the start of a window.
struct Failures {
    since: Instant,
    count: u32,
}

pub(super) fn routes(oidc: Option<Oidc>, endpoint: Arc<Endpoint>, attempts: Attempts) -> Router {
    Router::new()
        .route("/session", get(whether_signed_in).post(with_password).delete(sign_out))
        .route("/session/link", post(with_link))
        .with_state(Door { oidc, endpoint, attempts })
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

async fn with_password(State(door): State<Door>, request: Request) -> Response {
    door.answer(request, async |parts, Credentials { email, password }: Credentials| {
        let client = Client { browser: door.endpoint.session_cookie.browser(&parts.headers), ..client(parts) };
        let members = &door.endpoint.access.members;
        let is_known = members.knows(&email, &client);
        if !is_known {
            door.attempts.admit(&client)?;
        }
        match members.sign_in(&email, &password, &client).await {
            Ok(SignIn::Begun(session)) => {
                if !is_known {
                    door.attempts.forgive(&client);
                }
                Ok(*session)
            }
            Ok(SignIn::Refused(account)) => {
                door.note_failure(&client, account.map(|account| *account), Code::Unauthenticated).await;
                let message = "The address or the password is not right.";
                Err(Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message))
            }
            Ok(SignIn::TooEarly(wait)) => {
                let seconds = u32::try_from(wait / 1000 + 1).unwrap_or(u32::MAX);
                Err(too_early(seconds, "There were too many attempts to sign in with this address."))
            }
            Err(error) => Err(problem(&error)),
        }
    })
    .await
}

#[derive(Deserialize)]
struct Followed {
    link: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

async fn with_link(State(door): State<Door>, request: Request) -> Response {
    door.answer(request, async |parts, Followed { link, name, email, password }: Followed| {
        let (entered, client) = (Entered { name, email, password }, client(parts));
        let redeemed = door.endpoint.access.members.redeem(&link, &entered, &client).await;
        if let Err(Error::Refused(_)) = redeemed {
            door.note_failure(&client, None, Code::InvalidInput).await;
        }
        redeemed.map_err(|error| problem(&error))
    })
    .await
}

/// Whether the cookie has a session that works. A page asks this first, because a browser shows refusals as errors.
async fn whether_signed_in(State(door): State<Door>, headers: HeaderMap) -> Response {
    let caller = match door.endpoint.session_cookie.secret(&headers) {
        Some(secret) => door.endpoint.access.members.sessions.authenticate(&secret).await,
        None => Ok(None),
    };
    match caller {
        Ok(caller) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "signedIn": caller.is_some() }))).into_response()
        }
        Err(error) => problem(&error).into_response(JSON),
    }
}

/// Ends the session of the cookie. If it began at the identity provider, the answer says where to sign out there.
async fn sign_out(State(door): State<Door>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let client = client(&parts);
    if !door.endpoint.origin.sent(&parts.headers) {
        door.count(&client, Code::ForeignOrigin);
        return callers::foreign().into_response(JSON);
    }
    let from_provider = match door.endpoint.session_cookie.secret(&parts.headers) {
        Some(secret) => door.endpoint.access.members.sessions.sign_out(&secret, &client).await,
        None => Ok(false),
    };
    let removal = door.endpoint.session_cookie.removal();
    let page = match (from_provider, &door.oidc) {
        (Err(error), _) => return problem(&error).into_response(JSON),
        (Ok(true), Some(oidc)) => oidc.sign_out_page().await,
        (Ok(_), _) => None,
    };
    match page {
        Some(page) => {
            let headers =
                [(header::SET_COOKIE, removal), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            (headers, Json(json!({ "signOutPage": page }))).into_response()
        }
        None => done(removal),
    }
}

impl Door {
    /// Answers a request for a session with its cookie.
    async fn answer<T: DeserializeOwned>(
        &self,
        request: Request,
        begin: impl AsyncFnOnce(&Parts, T) -> Result<NewSession, Problem>,
    ) -> Response {
        let (mut parts, body) = request.into_parts();
        let id = Uuid::now_v7();
        parts.extensions.insert(RequestId(id));
        let entered = async {
            if !self.endpoint.origin.sent(&parts.headers) {
                return Err(callers::foreign());
            }
            let body = read_json(&parts.headers, body).await?;
            let entered = serde_json::from_slice(&body).map_err(|_| Problem::bad_request("A field is missing."))?;
            begin(&parts, entered).await
        };
        let session = match entered.instrument(error_span!("sign_in", request.id = %id)).await {
            Ok(session) => session,
            Err(problem) => {
                let code = problem.code();
                if matches!(code, Code::RateLimited | Code::ForeignOrigin) {
                    self.count(&client(&parts), code);
                }
                return problem.into_response(JSON);
            }
        };
        let mut response = done(begun(&self.endpoint, &parts, &session).await);
        if let Some(browser) = session.browser {
            response.headers_mut().append(header::SET_COOKIE, self.endpoint.session_cookie.set_browser(browser));
        }
        response
    }
}

impl Door {
    /// Writes an audit entry of an attempt that failed. It is done for every account, whether a member has it or not.
    async fn note_failure(&self, client: &Client, account: Option<Subject>, code: Code) {
        let journal = self.endpoint.executor.journal();
        let entry = Entry::new(journal.now(), Action::SignInFailed, "Somebody failed to sign in.").about(account);
        journal.note(entry.refused(code.as_str()).by(client.origin(Actor::anonymous()))).await;
    }

    /// Counts an attempt that was not looked at.
    fn count(&self, client: &Client, code: Code) {
        let origin = client.origin(Actor::anonymous());
        self.endpoint.executor.journal().count(&origin, Action::SignInFailed, code.as_str());
    }
}

/// The cookie of a session that has begun. A session that the browser had before ends, so that nobody can have chosen
/// it.
pub(super) async fn begun(endpoint: &Endpoint, parts: &Parts, session: &NewSession) -> HeaderValue {
    if let Some(before) = endpoint.session_cookie.secret(&parts.headers)
        && let Err(error) = endpoint.access.members.sessions.sign_out(&before, &client(parts)).await
    {
        warn!(error = %error.chain(), "the session that a browser had before could not be ended");
    }
    endpoint.session_cookie.set(session)
}

impl Attempts {
    /// Counts an attempt as failed.
    pub(super) fn admit(&self, client: &Client) -> Result<(), Problem> {
        let mut all = self.0.lock();
        make_room(&mut all);
        let networks = networks(client);
        for (network, limit) in &networks {
            let failures = all.entry(*network).or_insert_with(Failures::none);
            if failures.since.elapsed() >= WINDOW {
                *failures = Failures::none();
            }
            if failures.count >= *limit {
                let left = WINDOW.saturating_sub(failures.since.elapsed()).as_secs() + 1;
                let seconds = u32::try_from(left).unwrap_or(u32::MAX);
                let message = "There were too many attempts to sign in from your network.";
                return Err(too_early(seconds, message));
            }
        }
        for (network, _) in networks {
            if let Some(failures) = all.get_mut(&network) {
                failures.count += 1;
            }
        }
        Ok(())
    }

    /// Does not count an attempt that has succeeded.
    pub(super) fn forgive(&self, client: &Client) {
        let mut all = self.0.lock();
        for (network, _) in networks(client) {
            if let Some(failures) = all.get_mut(&network) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }
}

/// Says when the next attempt may follow.
fn too_early(seconds: u32, message: &str) -> Problem {
    let wait = match seconds {
        1 => "a second".to_owned(),
        2..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    };
    Problem::rate_limited(seconds, &format!("{message} Try again in {wait}."))
}

impl Failures {
    fn none() -> Self {
        Self { since: now(), count: 0 }
    }
}

/// For what a client counts, with the limit of each; for nothing if it is on this machine.
fn networks(client: &Client) -> Vec<(IpNet, u32)> {
    let Some(address) = client.address.filter(|address| !address.is_loopback()) else { return Vec::new() };
    let (own, place) = (IpNet::from(network(address)), place(address));
    let beside = (place != own).then_some((place, FAILURES_PER_PLACE));
    [(own, FAILURES)].into_iter().chain(beside).collect()
}

/// Forgets the networks with the fewest failures if there are too many.
fn make_room(all: &mut HashMap<IpNet, Failures>) {
    if all.len() < NETWORKS {
        return;
    }
    all.retain(|_, failures| failures.since.elapsed() < WINDOW);
    let mut counts: Vec<(u32, IpNet)> = all.iter().map(|(network, failures)| (failures.count, *network)).collect();
    counts.sort_unstable();
    for (_, network) in counts.iter().take(all.len().saturating_sub(NETWORKS / 2)) {
        all.remove(network);
    }
}

pub(super) fn client(parts: &Parts) -> Client {
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let address = parts.extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address);
    let request_id = parts.extensions.get::<RequestId>().map_or_else(Uuid::now_v7, |RequestId(id)| *id);
    Client { address, user_agent: user_agent.unwrap_or_default().to_owned(), request_id, browser: None }
}

fn problem(error: &Error) -> Problem {
    match error {
        Error::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidInput, error.to_string()),
        Error::Unavailable(_) | Error::Undone(_) | Error::Uncertain(_) => {
            warn!(error = %error.chain(), "somebody could not sign in");
            Problem::unavailable("Nobody can sign in at this moment. Try again in some seconds.")
        }
        Error::Internal(_) => {
            tracing::error!(error = %error.chain(), "somebody could not sign in");
            let message = "The server failed; this is our fault.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
        }
    }
}

fn done(cookie: HeaderValue) -> Response {
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie), no_store]).into_response()
}

#[expect(clippy::disallowed_methods, reason = "measures the window of an address")]
fn now() -> Instant {
    Instant::now()
}
