//! Lists: `PUT /lists/{instance}` delivers the users of an instance of *List*, as a file in the body. `POST
//! /lists/{instance}/preview` says how the beginning of a file would be read, and stores nothing.
//!
//! The caller needs what `syncInstance` needs. A list is read while it arrives, so that it takes no memory. It counts when
//! it is whole and has no fault. Otherwise nothing of it stays, and the answer says what is wrong. The answer to a list that
//! counts comes after the commit, and names the run that takes it over.

mod asked;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use bytes::Bytes;
use entity::audit_entry::Action;
use entity::instance::Model;
use entity::run;
use futures_util::StreamExt as _;
use integration::list::{self, Fault, Form, Reader};
use serde_json::{Value, json};
use tracing::{error, warn};
use uuid::Uuid;

use self::asked::Asked;
use crate::audit::{Act, Entry, Origin, Subject};
use crate::auth::{Caller, ClientAddress};
use crate::db::Columns;
use crate::error::Error;
use crate::graphql::audited;
use crate::graphql::budget::Budget;
use crate::graphql::error::Code;
use crate::graphql::id::{self, Kind};
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::problems::{JSON, Problem};
use crate::instance::Instances;
use crate::instance::list::receive::{Arriving, Whole};

/// The largest file, in bytes.
const LARGEST: usize = 512 * 1024 * 1024;
/// The largest beginning of a file of which there is a preview, in bytes.
const LARGEST_PREVIEW: usize = 256 * 1024;
/// How many users are stored at once. Each costs 1 of the budget of a token.
const USERS_AT_ONCE: usize = 500;
/// How long nothing may arrive.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Door {
    endpoint: Arc<Endpoint>,
    instances: Instances,
    /// The most users of an instance.
    most: u64,
}

pub(super) fn routes(endpoint: Arc<Endpoint>, instances: Instances, most: u64) -> Router {
    Router::new()
        .route("/lists/{instance}", put(deliver))
        .route("/lists/{instance}/preview", post(preview))
        .with_state(Door { endpoint, instances, most })
}

/// Who delivers, and to what.
struct Delivery {
    caller: Caller,
    origin: Origin,
    budget: Budget,
    instance: Model,
    asked: Asked,
}

/// Why a list does not count.
enum Refused {
    Problem(Problem),
    Faults(Vec<Fault>),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Problem(problem(&error))
    }
}

async fn deliver(State(door): State<Door>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let delivery = match Box::pin(door.begin(&parts, &id)).await {
        Ok(delivery) => delivery,
        Err(problem) => return door.refuse(&parts, problem),
    };
    // In a task of its own, which goes on when the client leaves: it then ends the delivery.
    match tokio::spawn(async move { door.receive(delivery, body).await }).await {
        Ok(response) => response,
        Err(error) => {
            error!(%error, "a delivery of a list panicked");
            let message = "The server failed; this is our fault.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message).into_response(JSON)
        }
    }
}

async fn preview(State(door): State<Door>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let shown = async {
        let delivery = Box::pin(door.begin(&parts, &id)).await?;
        let too_large = |_| Problem::payload_too_large(LARGEST_PREVIEW);
        let body = tokio::time::timeout(SILENCE, axum::body::to_bytes(body, LARGEST_PREVIEW)).await;
        let bytes = body.map_err(|_| silent())?.map_err(too_large)?;
        let Asked { mut form, says_encoding } = delivery.asked;
        if !says_encoding {
            form.encoding = list::guess_encoding(&bytes);
        }
        Ok((form, bytes))
    };
    match shown.await {
        Ok((form, bytes)) => no_store(StatusCode::OK, &json!(list::preview(&form, &bytes))),
        Err(problem) => door.refuse(&parts, problem),
    }
}

fn address(parts: &Parts) -> Option<ClientAddress> {
    parts.extensions.get::<ClientAddress>().copied()
}

fn no_store(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn silent() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, "The file took too long to arrive.")
}

fn broken_off() -> Problem {
    Problem::bad_request("The file broke off. Nothing was changed.")
}

impl Door {
    fn refuse(&self, parts: &Parts, problem: Problem) -> Response {
        if let Some(code) = problem.is_about_access() {
            self.endpoint.count_anonymous(address(parts), code);
        }
        problem.into_response(JSON)
    }

    /// Everything that can be refused before a byte of the file is read.
    async fn begin(&self, parts: &Parts, id: &str) -> Result<Delivery, Problem> {
        let caller = callers::of_request(&self.endpoint, parts).await?;
        let budget = self.endpoint.budgets.of(&caller);
        budget.request().inspect_err(|_| self.endpoint.count_limited(&caller, address(parts)))?;
        let origin = audited::origin(&caller, address(parts).map(|ClientAddress(address)| address), Uuid::now_v7());
        if !caller.may_operate() {
            self.note(&origin, None, Code::Forbidden.as_str()).await;
            let message = "Your role may read, but not change anything.";
            return Err(Problem::new(StatusCode::FORBIDDEN, Code::Forbidden, message));
        }
        let asked = Asked::of(parts)?;
        let instance = self.instance(&caller, id).await?;
        if self.endpoint.shutdown.is_cancelled() {
            return Err(Problem::stopping());
        }
        Ok(Delivery { caller, origin, budget, instance, asked })
    }

    /// The instance, if the caller sees it.
    async fn instance(&self, caller: &Caller, id: &str) -> Result<Model, Problem> {
        let id = id::decode(Kind::Instance, id).map_err(Problem::bad_request)?;
        let found = self.instances.by_ids(&[id], Columns::ALL).await.map_err(|error| problem(&error))?.remove(&id);
        let seen = |model: &Model| caller.scope.as_ref().is_none_or(|scope| scope.has(&model.integration_key, id));
        let none = || Problem::new(StatusCode::NOT_FOUND, Code::InvalidInput, "There is no instance with this id.");
        found.filter(seen).ok_or_else(none)
    }

    async fn receive(&self, delivery: Delivery, body: Body) -> Response {
        let refused = match self.receive_whole(&delivery, body).await {
            Ok(response) => return response,
            Err(refused) => refused,
        };
        let (code, response) = match refused {
            Refused::Problem(problem) => (problem.code(), problem.into_response(JSON)),
            Refused::Faults(faults) => (Code::InvalidInput, faulty(&faults)),
        };
        self.note(&delivery.origin, Some(&delivery.instance), code.as_str()).await;
        response
    }

    async fn receive_whole(&self, delivery: &Delivery, body: Body) -> Result<Response, Refused> {
        let Delivery { caller, budget, instance, .. } = delivery;
        let _place = budget.operation().await.map_err(Problem::from)?;
        let mut arriving = self.instances.begin_delivery(caller, instance).await?;
        let received = tokio::select! {
            biased;
            () = self.endpoint.shutdown.cancelled() => Err(Problem::stopping().into()),
            received = self.read(delivery, &mut arriving, body) => received,
        };
        let completed = match received {
            Ok(whole) => self.complete(delivery, &arriving, whole).await,
            Err(refused) => Err(refused),
        };
        if completed.is_err()
            && let Err(error) = self.instances.end_delivery(&arriving).await
        {
            // It is removed later.
            warn!(error = %error.chain(), "a delivery that broke off could not be ended");
        }
        completed
    }

    /// Reads the whole file, and stores its users.
    async fn read(&self, delivery: &Delivery, arriving: &mut Arriving, body: Body) -> Result<Whole, Refused> {
        let mut body = body.into_data_stream();
        let mut reader = Reader::new(&delivery.asked.form, self.most);
        let mut bytes = 0_usize;
        while let Some(part) = next(&mut body).await? {
            bytes += part.len();
            if bytes > LARGEST {
                return Err(Problem::payload_too_large(LARGEST).into());
            }
            // After a fault that ends the reading, the rest is taken all the same, so that the client reads the answer.
            reader.push(&part);
            while reader.waiting() >= USERS_AT_ONCE {
                self.store(delivery, arriving, reader.take(USERS_AT_ONCE)).await?;
            }
        }
        reader.end();
        if !reader.faults().is_empty() {
            return Err(Refused::Faults(reader.faults().to_vec()));
        }
        while reader.waiting() > 0 {
            self.store(delivery, arriving, reader.take(USERS_AT_ONCE)).await?;
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        Ok(Whole { form: reader.found(&delivery.asked.form), bytes })
    }

    async fn store(
        &self,
        delivery: &Delivery,
        arriving: &mut Arriving,
        users: Vec<integration::user::SourceUser>,
    ) -> Result<(), Refused> {
        delivery.budget.owe(users.len());
        delivery.budget.solvent().await;
        Ok(self.instances.store_delivered(arriving, &users).await?)
    }

    async fn complete(&self, delivery: &Delivery, arriving: &Arriving, whole: Whole) -> Result<Response, Refused> {
        let Delivery { caller, origin, .. } = delivery;
        if !callers::still_valid(&self.endpoint.access, caller).await {
            let message = "Your token or session has ended meanwhile.";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message).into());
        }
        let act = Act::new(origin.clone(), Some((Action::ListDelivered, "A list was delivered.".to_owned())));
        let run = act.run(Box::pin(self.instances.complete_delivery(caller, arriving, &whole))).await?;
        Ok(accepted(&run, &whole, arriving.users()))
    }

    /// Writes an audit entry of a list that does not count.
    async fn note(&self, origin: &Origin, instance: Option<&Model>, code: &str) {
        let journal = self.endpoint.executor.journal();
        let entry = Entry::new(journal.now(), Action::ListDelivered, "The delivery of a list was refused.");
        let subject = instance.map(|instance| Subject::instance(instance.id).named(&instance.name));
        journal.note(entry.about(subject).refused(code).by(origin.clone())).await;
    }
}

/// The next part of the file.
async fn next(body: &mut BodyDataStream) -> Result<Option<Bytes>, Problem> {
    match tokio::time::timeout(SILENCE, body.next()).await {
        Err(_) => Err(silent()),
        Ok(Some(Err(_))) => Err(broken_off()),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(None) => Ok(None),
    }
}

/// 202: the list counts, and its run is queued.
fn accepted(run: &run::Model, whole: &Whole, users: i64) -> Response {
    let Form { format, encoding, separator, columns, dates } = &whole.form;
    let body = json!({
        "instance": id::text_of_instance(run.instance_id),
        "run": id::text_of_run(run.id),
        "rows": users,
        "bytes": whole.bytes,
        "format": format,
        "encoding": encoding,
        "separator": separator,
        "columns": columns,
        "dates": dates,
    });
    no_store(StatusCode::ACCEPTED, &body)
}

/// 422: what is wrong with the file, in the form of other errors.
fn faulty(faults: &[Fault]) -> Response {
    let errors: Vec<Value> = faults
        .iter()
        .map(|fault| {
            let extensions = json!({ "code": Code::InvalidInput.as_str(), "line": fault.line, "column": fault.column });
            json!({ "message": fault.to_string(), "extensions": extensions })
        })
        .collect();
    no_store(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "errors": errors }))
}

fn problem(error: &Error) -> Problem {
    match error {
        Error::Refused(_) => Problem::new(StatusCode::CONFLICT, Code::InvalidInput, error.to_string()),
        Error::Unavailable(_) | Error::Undone(_) => {
            warn!(error = %error.chain(), "a list could not be taken in");
            Problem::waiting()
        }
        Error::Uncertain(_) => {
            warn!(error = %error.chain(), "it is not known whether a list was taken in");
            let message = "It is not known whether the list was stored. Look at the instance, or deliver it again.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::OutcomeUnknown, message)
        }
        Error::Internal(_) => {
            error!(error = %error.chain(), "a list could not be taken in");
            let message = "The server failed; this is our fault.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, message)
        }
    }
}
