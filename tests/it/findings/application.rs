//! An application that tells everything about its accounts, and a company that uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat};
use muster::clock::{Clock, DAY_MS};
use muster::doctor::{Examination, examine};
use muster::maintenance::retention::Retention;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::people::roster::{Account, Roster, settled};
use crate::support::{Client, DEADLINE, Place, Server};

const MANIFEST: &str = "name: Tool
category: identity
description: Tells everything about its accounts.
required_permissions: [users.read]
setup: None.
config:
  - {key: origin, label: Address, type: url}
base_url: '{{config.origin}}'
auth: none
users:
  path: /Users
  pages: none
  records: $.users
  absent: {last_active_at: never}
  joins:
    factors:
      path: /factors
      pages: none
      records: $.factors
      key: $.id
      keep: {mfa: $.mfa}
      provides: [mfa_enabled]
      permission: factors.read
  map:
    external_id: $.id
    email: $.mail
    display_name: $.id
    status: {of: $.status, values: {active: active, suspended: suspended, invited: invited}}
    kind: {of: $.kind, values: {human: human, service: service, shared: shared}}
    is_admin: $.admin
    mfa_enabled: $._joined.factors.mfa
    guest: $.guest
    licenses: $.licenses[*]
    last_active_at: {from: $.last, format: iso, known_when: \"$[?@.watched == true]\"}
    created_at: {from: $.created, format: iso}
";

/// An application whose accounts a test writes.
#[derive(Clone)]
pub struct Application {
    url: String,
    accounts: Arc<Mutex<Vec<Value>>>,
    /// Whether it refuses to tell the second factors.
    is_secretive: Arc<Mutex<bool>>,
}

impl Application {
    async fn start(accounts: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let application = Self { url, accounts: Arc::new(Mutex::new(accounts)), is_secretive: Arc::default() };
        let router = Router::new().route("/Users", get(users)).route("/factors", get(factors));
        let router = router.with_state(application.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        application
    }
}

impl Application {
    /// Has these accounts from now on.
    pub fn write(&self, accounts: Vec<Value>) {
        *self.accounts.lock().unwrap() = accounts;
    }
}

async fn users(State(application): State<Application>) -> Json<Value> {
    Json(json!({ "users": *application.accounts.lock().unwrap() }))
}

async fn factors(State(application): State<Application>) -> Response {
    if *application.is_secretive.lock().unwrap() {
        return (StatusCode::FORBIDDEN, Json(json!({ "error": "not allowed" }))).into_response();
    }
    let accounts = application.accounts.lock().unwrap();
    let known = accounts.iter().filter(|account| !account["mfa"].is_null());
    let factors: Vec<Value> = known.map(|account| json!({ "id": account["id"], "mfa": account["mfa"] })).collect();
    Json(json!({ "factors": factors })).into_response()
}

/// An account that nothing is wrong with: active, with a second factor, and used yesterday.
#[expect(clippy::needless_pass_by_value, reason = "it is written in place")]
pub fn tool(id: &str, mail: &str, changes: Value) -> Value {
    let mut account = json!({ "id": id, "mail": mail, "status": "active", "kind": "human", "admin": false, "mfa": true,
        "guest": false, "licenses": [], "watched": true, "last": ago(1), "created": ago(400) });
    for (key, value) in changes.as_object().unwrap() {
        account[key] = value.clone();
    }
    account
}

/// A day in the past, as it is written.
pub fn ago(days: i64) -> String {
    let at = DateTime::from_timestamp_millis(Clock::System.now() - days * DAY_MS).unwrap();
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Waits until everything is evaluated.
pub async fn evaluated(client: &Client) {
    settled(client).await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let query = "{ reportSettings { pendingEvaluations } }";
    while client.ask(query, json!({})).await["reportSettings"]["pendingEvaluations"] != 0 {
        assert!(tokio::time::Instant::now() < deadline, "the evaluations are never done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server with personnel records and the application, of which the licence `Pro` has a price.
pub struct Office {
    pub server: Server,
    pub records: Roster,
    pub hr: String,
    pub application: Application,
    pub tool: String,
}

impl Office {
    pub async fn start(records: Vec<Account>, accounts: Vec<Value>) -> Self {
        Self::at(Clock::System, records, accounts).await
    }

    pub async fn at(clock: Clock, records: Vec<Account>, accounts: Vec<Value>) -> Self {
        let place = Place::new();
        let dir = place.path().join("connectors");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("tool.yaml"), MANIFEST).unwrap();
        let server = Server::builder().place(place).clock(clock).settings(move |settings| {
            settings.connectors_dir = Some(dir);
            settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
        });
        let server = server.start().await;
        let records = Roster::start(records).await;
        let hr = server.integrate("scim", "HR", &records.config()).await;
        server.idle(&hr, "").await;
        let application = Application::start(accounts).await;
        let tool = server.integrate("tool", "Tool", &[("origin", &application.url)]).await;
        server.idle(&tool, "").await;
        server.done("setOwnedDomains", json!({ "owned": ["acme.example"] }), "").await;
        let sources = json!({ "sources": [{ "instanceId": hr, "rank": 1 }] });
        server.done("setPeopleSources", sources, "").await;
        let price = json!({ "currency": "EUR", "unitPrice": "10.00", "billingMonths": 1 });
        server.done("setPrice", json!({ "instanceId": tool, "license": "Pro", "price": price }), "").await;
        evaluated(&server).await;
        Self { server, records, hr, application, tool }
    }

    /// Changes the accounts of the application, and syncs it.
    pub async fn list(&self, accounts: Vec<Value>) -> Value {
        self.application.write(accounts);
        let run =
            self.server.sync(&self.tool, "outcome added changed removed failure { class lostCapabilities }").await;
        evaluated(&self.server).await;
        run
    }

    /// Lets the application tell the second factors, or refuse it.
    pub fn keep_secret(&self, is_secretive: bool) {
        *self.application.is_secretive.lock().unwrap() = is_secretive;
    }

    pub async fn employ(&self, records: Vec<Account>) -> Value {
        self.records.list(records);
        let run = self.server.sync(&self.hr, "outcome failure { class }").await;
        evaluated(&self.server).await;
        run
    }

    /// The findings of the application in these states: "account type".
    pub async fn findings(&self, states: &str) -> BTreeSet<String> {
        let shown = self.shown(states).await;
        let name = |it: &Value| {
            let account = it["user"]["externalId"].as_str().unwrap_or("-");
            format!("{account} {}", it["type"].as_str().unwrap())
        };
        let names: BTreeSet<String> = shown.iter().map(name).collect();
        assert_eq!(names.len(), shown.len(), "{shown:#?}");
        names
    }

    pub async fn shown(&self, states: &str) -> Vec<Value> {
        evaluated(&self.server).await;
        let query = format!(
            "query($ids: [ID!]) {{ findings(first: 100, filter: {{ states: [{states}], instanceIds: $ids }}) {{ totalCount
            nodes {{ id type severity state openedAt closedAt closeReason evidence {{ field value }}
                exception {{ reason by until severity }} user {{ id externalId }} instance {{ id }} }} }} }}"
        );
        let found = self.server.ask(&query, json!({ "ids": [self.tool] })).await["findings"].take();
        let nodes = found["nodes"].as_array().unwrap().clone();
        assert_eq!(found["totalCount"], nodes.len(), "{states}");
        nodes
    }

    /// One finding that is not closed.
    pub async fn finding(&self, account: &str, kind: &str) -> Value {
        let shown = self.shown("OPEN, EXCEPTED, UNCONFIRMED").await;
        let own = shown.iter().find(|it| it["user"]["externalId"] == account && it["type"] == kind);
        own.unwrap_or_else(|| panic!("no {kind} about {account}: {shown:#?}")).clone()
    }

    /// Why findings were closed, by account and type.
    pub async fn closed(&self) -> BTreeMap<String, String> {
        let shown = self.shown("CLOSED").await;
        let of = |it: &Value| {
            let account = it["user"]["externalId"].as_str().unwrap_or("-");
            let name = format!("{account} {}", it["type"].as_str().unwrap());
            (name, it["closeReason"].as_str().unwrap().to_owned())
        };
        shown.iter().map(of).collect()
    }

    /// The figures of the application: yes, no, unknown and excepted of each measure.
    #[expect(clippy::cast_precision_loss, reason = "they are small")]
    pub async fn figures(&self) -> BTreeMap<String, [i64; 4]> {
        evaluated(&self.server).await;
        let fields: Vec<String> =
            MEASURES.iter().map(|name| format!("{name} {{ yes no unknown excepted ratio }}")).collect();
        let found = self.server.instance(&self.tool, &format!("posture {{ {} }}", fields.join(" "))).await;
        let of = |name: &&str| {
            let measure = &found["posture"][*name];
            let [yes, no, unknown, excepted] =
                ["yes", "no", "unknown", "excepted"].map(|key| measure[key].as_i64().unwrap());
            let ratio = (yes + no > 0).then(|| yes as f64 / (yes + no) as f64);
            let told = measure["ratio"].as_f64();
            assert_eq!(told.is_some(), ratio.is_some(), "{name}: {measure}");
            // The last bit may be lost when the answer is read.
            let difference = told.unwrap_or_default() - ratio.unwrap_or_default();
            assert!(difference.abs() < 1e-15, "{name}: {measure}");
            ((*name).to_owned(), [yes, no, unknown, excepted])
        };
        MEASURES.iter().map(of).collect()
    }

    /// Stops the server. Its data has to be as the doctor wants it.
    pub async fn end(self) {
        evaluated(&self.server).await;
        let place = self.server.stop().await;
        let examination = Examination {
            key_file: &place.path().join("secret.key"),
            data_dir: place.path(),
            retention: Retention::default(),
            provider: None,
            thorough: false,
            now: Clock::System.now(),
        };
        let report = examine(&place.location(), &examination).await.unwrap();
        let own = ["evaluations", "figures", "finding-exceptions", "findings", "license-counts", "license-tally"];
        assert!(own.iter().all(|name| report.checks.iter().any(|check| check.name == *name)));
        let wrong: Vec<_> = report.findings.iter().filter(|finding| own.contains(&finding.check)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

pub const MEASURES: [&str; 13] = [
    "adminMfa",
    "admins",
    "conflicts",
    "duplicates",
    "externalAdmins",
    "externals",
    "inactive",
    "leavers",
    "mfa",
    "neverActive",
    "neverUsed",
    "ownedServices",
    "unmatched",
];

/// Names, to compare with [`Office::findings`].
pub fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}
