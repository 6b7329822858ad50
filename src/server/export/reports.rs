//! `/export/REPORT.csv` and `/export/REPORT.jsonl`: the rows of a list of the API as a file.
//!
//! Each page is a query of the caller, so a file shows what the API shows, with the same rules of access and the same
//! figures. A file of JSON Lines ends with a line that says what it is made of, so that somebody who was not there can
//! check it and compute its figures again.

use std::fmt::Write as _;
use std::sync::Arc;

use async_stream::try_stream;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use entity::audit_entry::Action;
use futures_util::Stream;
use ring::digest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::report::{REPORTS, Report, SOURCES, cell};
use super::{Cut, Door, MARK, address, csv};
use crate::audit::Entry;
use crate::auth::Caller;
use crate::clock::date_time;
use crate::graphql::audited;
use crate::graphql::budget::{Budget, Permit};
use crate::graphql::error::Code;
use crate::graphql::transport::callers;
use crate::graphql::transport::endpoint::Endpoint;
use crate::graphql::transport::execution::Transport;
use crate::graphql::transport::params::Params;
use crate::graphql::transport::problems::Problem;
use crate::graphql::transport::sse::{self, Revocation};
use crate::secrets::hex;

/// What a page costs of the budget of a token: 1 for each row.
const PRICE: usize = 100;
/// The version of what the files contain and of how the figures are defined. It changes when one of them does.
const VERSION: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/jsonl; charset=utf-8",
        }
    }
}

/// The report and the form that a name of a file stands for.
fn named(file: &str) -> Option<(&'static Report, Form)> {
    let (name, ending) = file.rsplit_once('.')?;
    let report = REPORTS.iter().find(|report| report.name == name)?;
    Some((report, [Form::Csv, Form::JsonLines].into_iter().find(|form| form.ending() == ending)?))
}

pub(super) async fn export(State(door): State<Door>, Path(file): Path<String>, request: Request) -> Response {
    let Some(named) = named(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let (parts, _) = request.into_parts();
    match Box::pin(begin(&door, named, &parts)).await {
        Ok(response) => response,
        Err(problem) => door.refuse(&parts, problem),
    }
}

/// A file that is being written.
struct Export {
    endpoint: Arc<Endpoint>,
    caller: Caller,
    report: &'static Report,
    filter: Value,
    form: Form,
    marked: bool,
    budget: Budget,
    revoked: CancellationToken,
    _watch: AbortOnDropHandle<()>,
    _place: Permit,
}

async fn begin(door: &Door, (report, form): (&'static Report, Form), parts: &Parts) -> Result<Response, Problem> {
    let endpoint = &door.endpoint;
    let caller = callers::of_request(endpoint, parts).await?;
    let budget = endpoint.budgets.of(&caller);
    budget.request().inspect_err(|_| endpoint.count_limited(&caller, address(parts)))?;
    let (filter, marked) = asked(parts.uri.query().unwrap_or_default())?;
    if endpoint.shutdown.is_cancelled() {
        return Err(Problem::stopping());
    }
    let place = budget.operation().await?;
    budget.spend(PRICE).inspect_err(|_| endpoint.count_limited(&caller, address(parts)))?;
    let revoked = CancellationToken::new();
    let watch = sse::watch(endpoint.access.clone(), caller.clone(), revoked.clone());
    let export = Export {
        endpoint: endpoint.clone(),
        caller,
        report,
        filter,
        form,
        marked,
        budget,
        revoked: revoked.clone(),
        _watch: AbortOnDropHandle::new(tokio::spawn(watch)),
        _place: place,
    };
    // What is refused is refused before the file begins.
    let first = export.page(&report.document(), &Value::Null).await?;
    door.record_report(&export.caller, report.name, parts).await?;
    let now = date_time(door.instances.clock.now());
    let disposition = format!("attachment; filename=\"{}-{}.{}\"", report.name, now.format("%Y-%m-%d"), form.ending());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(form.content_type())),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(disposition).unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let began = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let mut response = (headers, Body::from_stream(export.lines(first, began))).into_response();
    response.extensions_mut().insert(Revocation(revoked));
    Ok(response)
}

/// The filter, and whether the file begins with a byte order mark.
fn asked(query: &str) -> Result<(Value, bool), Problem> {
    let (mut filter, mut marked) = (Value::Null, false);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "filter" => {
                let no_object =
                    || Problem::bad_request("filter is the filter of the list in the API, as a JSON object.");
                filter = serde_json::from_str(&value).ok().filter(Value::is_object).ok_or_else(no_object)?;
            }
            "bom" => marked = matches!(&*value, "1" | "true"),
            _ => return Err(Problem::bad_request("The parameters are filter and bom.")),
        }
    }
    Ok((filter, marked))
}

/// One page of a list.
struct Page {
    rows: Vec<Value>,
    /// Where the list goes on.
    rest: Option<Value>,
}

impl Page {
    fn of(mut data: Value) -> Self {
        let mut list = data.pointer_mut("/of/list").map_or_else(Value::default, Value::take);
        if list.is_null() {
            list = data["list"].take();
        }
        let info = &list["pageInfo"];
        let rest = (info["hasNextPage"] == true).then(|| info["endCursor"].clone());
        let rows = match list["nodes"].take() {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        };
        Self { rows, rest }
    }
}

/// The first error of a response, as an answer of its own.
fn problem(errors: &Value) -> Problem {
    let error = &errors[0];
    let code = error["extensions"]["code"].as_str().and_then(Code::named).unwrap_or(Code::Internal);
    let status = match code {
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::InvalidInput | Code::ValidationFailed | Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::Unavailable => return Problem::waiting(),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, code, error["message"].as_str().unwrap_or_default())
}

impl Export {
    async fn page(&self, document: &str, after: &Value) -> Result<Page, Problem> {
        let mut variables = json!({ "after": after });
        if document != SOURCES {
            variables["filter"] = self.filter.clone();
        }
        let params = Params::from_value(json!({ "query": document, "variables": variables }));
        let operation = params.and_then(|params| self.endpoint.executor.check(params));
        let operation = operation.map_err(|error| Problem::of(StatusCode::BAD_REQUEST, error))?;
        let response = self.endpoint.executor.execute(self.caller.clone(), operation, Transport::Http).await;
        let mut response: Value = serde_json::from_slice(&response.into_body()).unwrap_or_default();
        match response.get("errors") {
            Some(errors) => Err(problem(errors)),
            None => Ok(Page::of(response["data"].take())),
        }
    }

    /// The next page of a file that has begun.
    async fn next(&self, document: &str, after: &Value) -> Result<Page, Cut> {
        self.budget.owe(PRICE);
        let read = async {
            self.budget.solvent().await;
            self.page(document, after).await
        };
        let read = tokio::select! {
            biased;
            () = self.endpoint.shutdown.cancelled() => return Err(Cut::Ended),
            () = self.revoked.cancelled() => return Err(Cut::Ended),
            read = read => read,
        };
        read.map_err(|problem| {
            tracing::error!(report = self.report.name, code = problem.code().as_str(), "a report was cut off");
            Cut::Unreadable
        })
    }

    fn lines(self, first: Page, began: String) -> impl Stream<Item = Result<Bytes, Cut>> {
        try_stream! {
            let document = self.report.document();
            let (mut rows, mut sum) = (0, digest::Context::new(&digest::SHA256));
            let head = self.head();
            if !head.is_empty() {
                yield Bytes::from(head);
            }
            let mut page = first;
            loop {
                let text = self.text(&page.rows);
                rows += page.rows.len();
                sum.update(text.as_bytes());
                if !text.is_empty() {
                    yield Bytes::from(text);
                }
                let Some(after) = page.rest else { break };
                page = self.next(&document, &after).await?;
            }
            if self.form == Form::JsonLines {
                let mut sources = Vec::new();
                let mut after = Some(Value::Null);
                while let Some(from) = after {
                    let mut page = self.next(SOURCES, &from).await?;
                    sources.append(&mut page.rows);
                    after = page.rest;
                }
                let manifest = json!({ "manifest": {
                    "report": self.report.name,
                    "version": VERSION,
                    "filter": self.filter,
                    "beganAt": began,
                    "rows": rows,
                    "sha256": hex(sum.finish().as_ref()),
                    "sources": sources,
                } });
                yield Bytes::from(format!("{manifest}\n"));
            }
        }
    }

    fn head(&self) -> String {
        if self.form == Form::JsonLines {
            return String::new();
        }
        let mut text = if self.marked { MARK.to_owned() } else { String::new() };
        csv::line(&mut text, self.report.columns().map(str::to_owned));
        text
    }

    fn text(&self, rows: &[Value]) -> String {
        let mut text = String::new();
        for row in rows {
            match self.form {
                Form::Csv => csv::line(&mut text, self.report.columns().map(|path| cell(row, path))),
                Form::JsonLines => {
                    let _ = writeln!(text, "{row}");
                }
            }
        }
        text
    }
}

impl Door {
    /// Nothing is exported without an entry.
    async fn record_report(&self, caller: &Caller, name: &str, parts: &Parts) -> Result<(), Problem> {
        let origin = audited::origin(caller, address(parts).map(|address| address.0), Uuid::now_v7());
        let entry = Entry::new(
            self.instances.clock.now(),
            Action::ReportExported,
            format!("The report {name:?} was exported."),
        );
        self.store(&entry.by(origin)).await.map_err(|error| super::failed(&error))
    }
}
