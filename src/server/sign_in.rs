//! Signing in and out, for the console: `/session` with a password, `/session/link` with a one-time link.
//!
//! A request is JSON from a page of this server. A session that the browser had before ends, so that nobody can have
//! chosen it. An account can be tried a few times, see [`crate::auth::members`]; so can an address, which is counted
//! in memory. Addresses of this machine are not counted, because a proxy may be behind them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use entity::audit_entry::Action;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::{Instrument, error_span, warn};
use uuid::Uuid;

use crate::audit::{Actor, Entry, Subject};
use crate::auth::links::Entered;
use crate::auth::members::SignIn;
use crate::auth::sessions::{Client, NewSession};
use crate::auth::{ClientAddress, network};
use crate::error::Error;
use crate::graphql::error::Code;
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::http::read_json;
use crate::graphql::transport::problems::Problem;

/// How often an address may fail to sign in within a window.
const FAILURES: u32 = 30;
const WINDOW: Duration = Duration::from_mins(15);
/// How many addresses are counted. A full table is cleared.
const ADDRESSES: usize = 10_000;
const JSON: &str = "application/json; charset=utf-8";

#[derive(Clone)]
struct Door {
    endpoint: Arc<Endpoint>,
    attempts: Attempts,
}

/// Finds a request in the log. In the extensions of the request.
#[derive(Clone, Copy)]
struct RequestId(Uuid);

/// The failed attempts of each address. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<HashMap<IpAddr, Failures>>>);

/// The failures of an address since the start of a window.
struct Failures {
    since: Instant,
    count: u32,
}

pub(super) fn routes(endpoint: Arc<Endpoint>, attempts: Attempts) -> Router {
    Router::new()
        .route("/session", post(with_password).delete(sign_out))
        .route("/session/link", post(with_link))
        .with_state(Door { endpoint, attempts })
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

async fn with_password(State(door): State<Door>, request: Request) -> Response {
    door.answer(request, async |parts, Credentials { email, password }: Credentials| {
        let client = client(parts);
        door.attempts.admit(&client)?;
        match door.endpoint.access.members.sign_in(&email, &password, &client).await {
            Ok(SignIn::Begun(session)) => {
                door.attempts.forgive(&client);
                Ok(*session)
            }
            Ok(SignIn::Refused(account)) => {
                door.note_failure(&client, account.map(|account| *account), Code::Unauthenticated).await;
                let message = "The address or the password is not right.";
                Err(Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message))
            }
            Ok(SignIn::TooEarly(wait)) => {
                let seconds = u32::try_from(wait / 1000 + 1).unwrap_or(u32::MAX);
                Err(Problem::rate_limited(seconds, "There were too many attempts to sign in with this address."))
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

/// Ends the session of the cookie.
async fn sign_out(State(door): State<Door>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let client = client(&parts);
    if !door.endpoint.origin.sent(&parts.headers) {
        door.count(&client, Code::ForeignOrigin);
        return callers::foreign().into_response(JSON);
    }
    if let Some(secret) = door.endpoint.session_cookie.secret(&parts.headers)
        && let Err(error) = door.endpoint.access.members.sessions.sign_out(&secret, &client).await
    {
        return problem(&error).into_response(JSON);
    }
    done(door.endpoint.session_cookie.removal())
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
        done(begun(&self.endpoint, &parts, &session).await)
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
    /// Counts an attempt of an address as failed.
    pub(super) fn admit(&self, client: &Client) -> Result<(), Problem> {
        let Some(address) = client.address.filter(|address| !address.is_loopback()) else { return Ok(()) };
        let mut failures = self.0.lock();
        if failures.len() >= ADDRESSES {
            failures.clear();
        }
        let own = failures.entry(network(address)).or_insert_with(|| Failures { since: now(), count: 0 });
        if own.since.elapsed() >= WINDOW {
            *own = Failures { since: now(), count: 0 };
        }
        if own.count >= FAILURES {
            let left = WINDOW.saturating_sub(own.since.elapsed()).as_secs() + 1;
            let seconds = u32::try_from(left).unwrap_or(u32::MAX);
            return Err(Problem::rate_limited(seconds, "There were too many attempts to sign in from your network."));
        }
        own.count += 1;
        Ok(())
    }

    /// Does not count an attempt that has succeeded.
    pub(super) fn forgive(&self, client: &Client) {
        if let Some(address) = client.address
            && let Some(own) = self.0.lock().get_mut(&network(address))
        {
            own.count = own.count.saturating_sub(1);
        }
    }
}

pub(super) fn client(parts: &Parts) -> Client {
    let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let address = parts.extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address);
    let request_id = parts.extensions.get::<RequestId>().map_or_else(Uuid::now_v7, |RequestId(id)| *id);
    Client { address, user_agent: user_agent.unwrap_or_default().to_owned(), request_id }
}

fn problem(error: &Error) -> Problem {
    match error {
        Error::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidInput, error.to_string()),
        Error::Unavailable(_) | Error::Undone(_) | Error::Uncertain(_) => {
            warn!(error = %error.chain(), "somebody could not sign in");
            Problem::waiting()
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
