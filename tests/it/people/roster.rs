//! An application whose list of accounts a test writes, and a company of several of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use muster::clock::Clock;
use muster::doctor::{Examination, Finding, examine};
use muster::maintenance::retention::Retention;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Builder, Client, DEADLINE, Server};

/// The checks of people.
const OF_PEOPLE: [&str; 10] = [
    "account-links",
    "decisions",
    "erased-accounts",
    "erasures",
    "link-states",
    "people",
    "people-sources",
    "people-tasks",
    "person-keys",
    "person-words",
];

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// An account as SCIM writes it.
pub struct Account(Value);

/// An account with this id and address. Its name is the id, with a capital letter.
pub fn account(id: &str, address: &str) -> Account {
    let name = format!("{}{}", id[..1].to_uppercase(), &id[1..]);
    let mut account = json!({ "id": id, "displayName": name, "active": true });
    if !address.is_empty() {
        account["emails"] = json!([{ "value": address, "primary": true, "type": "work" }]);
    }
    Account(account)
}

impl Account {
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0[key] = value.into();
        self
    }

    pub fn named(self, name: &str) -> Self {
        self.set("displayName", name)
    }

    pub fn alias(mut self, address: &str) -> Self {
        self.0["emails"].as_array_mut().unwrap().push(json!({ "value": address, "type": "other" }));
        self
    }

    pub fn employee(self, id: &str) -> Self {
        self.enterprise("employeeNumber", id.into())
    }

    pub fn enterprise(mut self, key: &str, value: Value) -> Self {
        self.0[ENTERPRISE][key] = value;
        self
    }

    pub fn suspended(self) -> Self {
        self.set("active", false)
    }
}

/// An application with a list that can change.
#[derive(Clone)]
pub struct Roster {
    pub url: String,
    list: Arc<Mutex<Result<Vec<Value>, u16>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    start_index: Option<usize>,
    count: Option<usize>,
}

impl Roster {
    pub async fn start(accounts: impl IntoIterator<Item = Account>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/scim", listener.local_addr().unwrap());
        let roster = Self { url, list: Arc::new(Mutex::new(Ok(Vec::new()))) };
        roster.list(accounts);
        let router = Router::new().route("/scim/Users", get(answer)).with_state(roster.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        roster
    }

    /// Lists these accounts from now on.
    pub fn list(&self, accounts: impl IntoIterator<Item = Account>) {
        *self.list.lock().unwrap() = Ok(accounts.into_iter().map(|account| account.0).collect());
    }

    /// Answers with this status from now on.
    pub fn fail(&self, status: u16) {
        *self.list.lock().unwrap() = Err(status);
    }

    pub fn config(&self) -> [(&str, &str); 2] {
        [("base_url", &self.url), ("token", "secret")]
    }
}

async fn answer(State(roster): State<Roster>, Query(place): Query<Place>) -> Response {
    let list = roster.list.lock().unwrap().clone();
    let list = match list {
        Ok(list) => list,
        Err(status) => return (StatusCode::from_u16(status).unwrap(), "{}").into_response(),
    };
    let first = place.start_index.unwrap_or(1);
    let page: Vec<Value> = list.iter().skip(first - 1).take(place.count.unwrap_or(100)).cloned().collect();
    let body =
        json!({ "totalResults": list.len(), "startIndex": first, "itemsPerPage": page.len(), "Resources": page });
    ([("content-type", "application/scim+json")], body.to_string()).into_response()
}

/// Waits until everything is considered in whose accounts are.
pub async fn settled(client: &Client) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while client.ask("{ peopleSettings { pendingTasks } }", json!({})).await["peopleSettings"]["pendingTasks"] != 0 {
        assert!(tokio::time::Instant::now() < deadline, "the tasks of people are never done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server with applications.
pub struct Company {
    pub server: Server,
    pub rosters: BTreeMap<String, (Roster, String)>,
}

impl Company {
    pub async fn start() -> Self {
        Self::of(Server::builder()).await
    }

    pub async fn at(clock: Clock) -> Self {
        Self::of(Server::builder().clock(clock)).await
    }

    async fn of(builder: Builder) -> Self {
        let builder = builder.settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()]);
        Self { server: builder.start().await, rosters: BTreeMap::new() }
    }

    /// Connects an application, and waits for its first sync.
    pub async fn connect(&mut self, name: &str, accounts: impl IntoIterator<Item = Account>) -> String {
        let roster = Roster::start(accounts).await;
        let id = self.server.integrate("scim", name, &roster.config()).await;
        self.server.idle(&id, "").await;
        self.rosters.insert(name.to_owned(), (roster, id.clone()));
        id
    }

    pub fn roster(&self, name: &str) -> &Roster {
        &self.rosters[name].0
    }

    pub fn id(&self, name: &str) -> &str {
        &self.rosters[name].1
    }

    /// Changes what an application lists, and syncs it.
    pub async fn list(&self, name: &str, accounts: impl IntoIterator<Item = Account>) -> Value {
        self.roster(name).list(accounts);
        let run = self.server.sync(self.id(name), "outcome failure { class }").await;
        settled(&self.server).await;
        run
    }

    /// Marks applications as people sources, the first one with the last word.
    pub async fn trust(&self, names: &[&str]) -> Value {
        let sources: Vec<Value> =
            (1..).zip(names).map(|(rank, name)| json!({ "instanceId": self.id(name), "rank": rank })).collect();
        let set = self.server.done("setPeopleSources", json!({ "sources": sources }), "settings { sources { rank } }");
        let set = set.await;
        settled(&self.server).await;
        set
    }

    pub async fn own(&self, domains: &[&str]) {
        self.server.done("setOwnedDomains", json!({ "owned": domains }), "").await;
        settled(&self.server).await;
    }

    /// Each account of an application with the name of its person, the rule and the state of its link.
    pub async fn links(&self, name: &str) -> BTreeMap<String, String> {
        settled(&self.server).await;
        let fields = "users(first: 100) { nodes { externalId person { displayName } link { rule state } } }";
        let found = self.server.instance(self.id(name), fields).await;
        let link = |user: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let whose = text(&user["person"]["displayName"]);
            let said = format!("{whose} {} {}", text(&user["link"]["rule"]), text(&user["link"]["state"]));
            (text(&user["externalId"]), said)
        };
        found["users"]["nodes"].as_array().unwrap().iter().map(link).collect()
    }

    /// The state of each person, by name.
    pub async fn states(&self) -> BTreeMap<String, String> {
        settled(&self.server).await;
        let found =
            self.server.ask("{ persons(first: 100) { totalCount nodes { displayName state } } }", json!({})).await;
        let nodes = found["persons"]["nodes"].as_array().unwrap();
        assert_eq!(found["persons"]["totalCount"], nodes.len());
        let state = |person: &Value| {
            (person["displayName"].as_str().unwrap_or("-").to_owned(), person["state"].as_str().unwrap().to_owned())
        };
        nodes.iter().map(state).collect()
    }

    /// Stops the server. Its data has to be as the doctor wants it.
    pub async fn end(self) {
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
        let of_people = |finding: &&Finding| OF_PEOPLE.contains(&finding.check);
        assert_eq!(report.findings.iter().filter(of_people).collect::<Vec<_>>(), Vec::<&Finding>::new());
        assert!(OF_PEOPLE.iter().all(|name| report.checks.iter().any(|check| check.name == *name)));
    }

    /// The id of an account.
    pub async fn user(&self, name: &str, external_id: &str) -> String {
        let found = self.server.instance(self.id(name), "users(first: 100) { nodes { id externalId } }").await;
        let nodes = found["users"]["nodes"].as_array().unwrap();
        let own = nodes.iter().find(|user| user["externalId"] == external_id);
        own.unwrap_or_else(|| panic!("no account {external_id}"))["id"].as_str().unwrap().to_owned()
    }

    /// The id of a person.
    pub async fn person(&self, name: &str) -> String {
        let query =
            "query($name: String!) { persons(first: 100, filter: { search: $name }) { nodes { id displayName } } }";
        let found = self.server.ask(query, json!({ "name": name })).await;
        let nodes = found["persons"]["nodes"].as_array().unwrap();
        let own = nodes.iter().find(|person| person["displayName"] == name);
        own.unwrap_or_else(|| panic!("nobody is called {name}: {found}"))["id"].as_str().unwrap().to_owned()
    }
}

/// What is said of links, to compare with [`Company::links`].
pub fn said<const N: usize>(links: [(&str, &str); N]) -> BTreeMap<String, String> {
    links.into_iter().map(|(account, link)| (account.to_owned(), link.to_owned())).collect()
}
