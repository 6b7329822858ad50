//! Files: [`reports`], and `/export/users.csv`, the users of an instance.
//!
//! The caller needs what the query `users` needs, and sees what it shows. The file is written page by page, so that it
//! takes no memory, and each user is in it once, as of the moment in which the page was read. The audit log has an entry
//! before the first line. If the token or the session ends, the database fails or the server stops, the connection is
//! cut, so that nobody takes a part for the whole.

mod csv;
mod report;
mod reports;

use std::sync::Arc;

use async_stream::try_stream;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use entity::audit_entry::Action;
use entity::instance::Model;
use entity::user::UserStatus;
use futures_util::Stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::audit::{self, Entry, Subject};
use crate::auth::{Caller, ClientAddress};
use crate::clock::date_time;
use crate::db::Columns;
use crate::directory::users::{self, Filter};
use crate::directory::words::Terms;
use crate::error::Error;
use crate::graphql::audited;
use crate::graphql::budget::{Budget, Permit};
use crate::graphql::error::Code;
use crate::graphql::id::{self, Kind};
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::problems::{JSON, Problem};
use crate::graphql::transport::sse::{self, Revocation};
use crate::instance::Instances;

/// How many users are read at once.
const USERS_AT_ONCE: u64 = 500;
/// What a page costs of the budget of a token: 1 for each row.
const PRICE: usize = 500;
/// Tells a program that a text is UTF-8.
const MARK: &str = "\u{feff}";

#[derive(Clone)]
struct Door {
    endpoint: Arc<Endpoint>,
    instances: Instances,
}

pub(super) fn routes(endpoint: Arc<Endpoint>, instances: Instances) -> Router {
    Router::new()
        .route("/export/users.csv", get(export))
        .route("/export/{file}", get(reports::export))
        .with_state(Door { endpoint, instances })
}

async fn export(State(door): State<Door>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match Box::pin(door.begin(&parts)).await {
        Ok(response) => response,
        Err(problem) => door.refuse(&parts, problem),
    }
}

fn address(parts: &Parts) -> Option<ClientAddress> {
    parts.extensions.get::<ClientAddress>().copied()
}

/// What a file is to contain.
struct Asked {
    instance: Uuid,
    search: Terms,
    statuses: Option<Vec<UserStatus>>,
    /// Whether it has the removed users, too.
    removed: bool,
    /// Whether the file begins with a byte order mark.
    marked: bool,
}

impl Asked {
    fn of(query: &str) -> Result<Self, Problem> {
        let is_set = |value: &str| matches!(value, "1" | "true");
        let (mut instance, mut search, mut statuses) = (None, Terms::default(), Vec::new());
        let (mut removed, mut marked) = (false, false);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "instance" => instance = Some(id::decode(Kind::Instance, &value).map_err(Problem::bad_request)?),
                "search" => search = Terms::of(&value),
                "status" => {
                    for name in value.split(',').filter(|name| !name.is_empty()) {
                        statuses.push(status(name)?);
                    }
                }
                "removed" => removed = is_set(&value),
                "bom" => marked = is_set(&value),
                _ => {
                    let message = "The parameters are instance, search, status, removed and bom.";
                    return Err(Problem::bad_request(message));
                }
            }
        }
        let missing = || Problem::bad_request("The parameter instance is missing: the id of an instance.");
        let statuses = (!statuses.is_empty()).then_some(statuses);
        Ok(Self { instance: instance.ok_or_else(missing)?, search, statuses, removed, marked })
    }
}

fn status(name: &str) -> Result<UserStatus, Problem> {
    serde_json::from_value(name.to_lowercase().into())
        .map_err(|_| Problem::bad_request("status is ACTIVE, SUSPENDED, INVITED or UNKNOWN, or several with commas."))
}

/// A file that is being written.
struct Export {
    instances: Instances,
    filter: Filter,
    marked: bool,
    budget: Budget,
    revoked: CancellationToken,
    shutdown: CancellationToken,
    _watch: AbortOnDropHandle<()>,
    _place: Permit,
}

/// Why a file ended before its end.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the token or session has ended, or the server is stopping")]
    Ended,
    #[error("what it is made of could not be read")]
    Unreadable,
}

impl Door {
    fn refuse(&self, parts: &Parts, problem: Problem) -> Response {
        if let Some(code) = problem.is_about_access() {
            self.endpoint.count_anonymous(address(parts), code);
        }
        problem.into_response(JSON)
    }

    async fn begin(&self, parts: &Parts) -> Result<Response, Problem> {
        let caller = callers::of_request(&self.endpoint, parts).await?;
        let budget = self.endpoint.budgets.of(&caller);
        budget.request().inspect_err(|_| self.endpoint.count_limited(&caller, address(parts)))?;
        if !caller.may_read_people() {
            return Err(self.forbidden(&caller, parts).await);
        }
        let asked = Asked::of(parts.uri.query().unwrap_or_default())?;
        let instance = self.instance(&caller, asked.instance).await?;
        if self.endpoint.shutdown.is_cancelled() {
            return Err(Problem::stopping());
        }
        let place = budget.operation().await?;
        budget.spend(PRICE).inspect_err(|_| self.endpoint.count_limited(&caller, address(parts)))?;
        self.record(&caller, &instance, parts).await.map_err(|error| failed(&error))?;
        let revoked = CancellationToken::new();
        let watch = sse::watch(self.endpoint.access.clone(), caller, revoked.clone());
        let export = Export {
            instances: self.instances.clone(),
            filter: Filter {
                instance_id: Some(instance.id),
                statuses: asked.statuses,
                search: asked.search,
                include_removed: asked.removed,
                ..Filter::default()
            },
            marked: asked.marked,
            budget,
            revoked: revoked.clone(),
            shutdown: self.endpoint.shutdown.clone(),
            _watch: AbortOnDropHandle::new(tokio::spawn(watch)),
            _place: place,
        };
        let disposition = disposition(&instance.name, self.instances.clock.now());
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
            (header::CONTENT_DISPOSITION, disposition),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (headers, Body::from_stream(export.lines())).into_response();
        response.extensions_mut().insert(Revocation(revoked));
        Ok(response)
    }

    /// The instance, if the caller sees it.
    async fn instance(&self, caller: &Caller, id: Uuid) -> Result<Model, Problem> {
        let found = self.instances.by_ids(&[id], Columns::ALL).await.map_err(|error| failed(&error))?.remove(&id);
        let seen = |model: &Model| caller.scope.as_ref().is_none_or(|scope| scope.has(&model.integration_key, id));
        let none = || Problem::new(StatusCode::NOT_FOUND, Code::InvalidInput, "There is no instance with this id.");
        found.filter(seen).ok_or_else(none)
    }

    async fn forbidden(&self, caller: &Caller, parts: &Parts) -> Problem {
        let journal = self.endpoint.executor.journal();
        let origin = audited::origin(caller, address(parts).map(|ClientAddress(address)| address), Uuid::now_v7());
        let entry = Entry::new(journal.now(), Action::UsersExported, "The export of users was refused.");
        journal.note(entry.refused(Code::Forbidden.as_str()).by(origin)).await;
        let message = "Your role shows figures, and nothing about a person.";
        Problem::new(StatusCode::FORBIDDEN, Code::Forbidden, message)
    }

    /// Nothing is exported without an entry.
    async fn record(&self, caller: &Caller, instance: &Model, parts: &Parts) -> Result<(), Error> {
        let origin = audited::origin(caller, address(parts).map(|ClientAddress(address)| address), Uuid::now_v7());
        let subject = Subject::instance(instance.id).named(&instance.name);
        let now = self.instances.clock.now();
        let entry = Entry::new(now, Action::UsersExported, "The users of an instance were exported.");
        self.store(&entry.about(subject).by(origin)).await
    }

    async fn store(&self, entry: &Entry) -> Result<(), Error> {
        let write = self.instances.db.write(|tx| async move {
            audit::record(&tx, entry.clone());
            Ok(())
        });
        write.await
    }
}

impl Export {
    fn lines(self) -> impl Stream<Item = Result<Bytes, Cut>> {
        try_stream! {
            let removed = self.filter.include_removed;
            let head = csv::head(removed);
            yield Bytes::from(if self.marked { format!("{MARK}{head}") } else { head });
            let mut after = None;
            loop {
                let page = self.page(after).await?;
                let mut text = String::new();
                for found in &page.users {
                    csv::user(&mut text, &found.user, removed);
                }
                let is_full = page.users.len() as u64 == USERS_AT_ONCE;
                let last = page.users.last().filter(|_| is_full).map(|found| found.position.clone());
                after = page.rest.or(last);
                if !text.is_empty() {
                    yield Bytes::from(text);
                }
                if after.is_none() {
                    break;
                }
                self.budget.owe(PRICE);
            }
        }
    }

    async fn page(&self, after: Option<users::Position>) -> Result<users::Page, Cut> {
        let read = async {
            self.budget.solvent().await;
            users::page(self.instances.db.read(), &self.filter, Columns::ALL, after, USERS_AT_ONCE).await
        };
        let read = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Err(Cut::Ended),
            () = self.revoked.cancelled() => return Err(Cut::Ended),
            read = read => read,
        };
        read.map_err(|error| {
            tracing::error!(error = %error.chain(), "an export of users was cut off");
            Cut::Unreadable
        })
    }
}

fn failed(error: &Error) -> Problem {
    tracing::error!(error = %error.chain(), "users could not be exported");
    Problem::waiting()
}

/// The name of the file: the instance and the day (UTC).
fn disposition(instance: &str, now: i64) -> HeaderValue {
    let day = date_time(now).format("%Y-%m-%d");
    let plain: String =
        instance.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let plain = plain.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-").to_lowercase();
    let name = format!("users {instance} {day}.csv");
    let whole = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    let value = format!("attachment; filename=\"users-{plain}-{day}.csv\"; filename*=UTF-8''{whole}");
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("attachment"))
}
