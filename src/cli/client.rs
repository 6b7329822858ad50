//! A client of a server's API.

use std::path::Path;
use std::time::Duration;

use reqwest::{Body, Response, Url, redirect};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long a small request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a change may take, for which the server may have to ask an application.
const LONG_PATIENCE: Duration = Duration::from_mins(2);
/// How often a small request is made until the server answers, and the pause between two of them.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(2);
/// How long the server may be silent while a file is sent.
const SILENCE: Duration = Duration::from_mins(5);

pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    token: String,
}

/// A run, as far as a person wants to know.
pub(super) struct Run {
    pub outcome: Option<String>,
    pub seen: i64,
    pub added: i64,
    pub changed: i64,
    pub removed: i64,
    /// What failed or is missing, or a remark.
    pub message: Option<String>,
}

/// The token in a file.
pub(super) fn token(file: &Path) -> Result<String, String> {
    let at = |problem: &dyn std::fmt::Display| format!("--token-file: {}: {problem}", file.display());
    let token = std::fs::read_to_string(file).map_err(|error| at(&error))?.trim().to_owned();
    let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(token) } else { Err(at(&"it must have an API token in one line")) }
}

impl Client {
    pub fn new(server: &str, token: String) -> Result<Self, String> {
        let server = if server.ends_with('/') { server.to_owned() } else { format!("{server}/") };
        let server = Url::parse(&server).map_err(|error| format!("--server: {error}"))?;
        if !matches!(server.scheme(), "http" | "https") {
            return Err("--server: give an address such as https://muster.example.com".to_owned());
        }
        let has_more = server.query().is_some() || server.fragment().is_some();
        if has_more || !server.username().is_empty() || server.password().is_some() {
            return Err("--server: give the address alone, without a name, a password, ? or #".to_owned());
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("muster/", env!("CARGO_PKG_VERSION")))
            // A token is not sent to another server.
            .redirect(redirect::Policy::none())
            .connect_timeout(PATIENCE)
            .read_timeout(SILENCE);
        let http = http.build().map_err(|error| format!("the HTTP client: {error}"))?;
        Ok(Self { http, server, token })
    }

    fn at(&self, path: &str) -> Result<Url, String> {
        self.server.join(path).map_err(|error| format!("--server: {error}"))
    }

    /// The address of the server, with a slash at its end.
    pub fn server(&self) -> &str {
        self.server.as_str()
    }

    /// Executes a query.
    pub async fn ask(&self, query: &str, variables: Value) -> Result<Value, String> {
        let (url, body) = (self.at("graphql")?, json!({ "query": query, "variables": variables }));
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.http.post(url.clone()).bearer_auth(&self.token).timeout(PATIENCE);
            let request = request.header("content-type", "application/json").body(body.to_string());
            let failed = match request.send().await {
                Ok(response) if matches!(response.status().as_u16(), 429 | 500..) => {
                    errors_of(response).await.join("\n")
                }
                Ok(response) => return answer(response).await,
                Err(error) => unreachable(&error),
            };
            if tries == TRIES {
                return Err(failed);
            }
            sleep(PAUSE).await;
        }
    }

    /// All rows of a list, page by page. `filter` is written behind the size of the page.
    pub async fn pages(&self, list: &str, filter: &str, fields: &str) -> Result<Vec<Value>, String> {
        let query = format!(
            "query($after: String) {{ {list}(first: 100, after: $after{filter}) {{
                nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let (mut rows, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = self.ask(&query, json!({ "after": after })).await?[list].take();
            rows.extend(page["nodes"].as_array().into_iter().flatten().cloned());
            if page["pageInfo"]["hasNextPage"] != json!(true) {
                return Ok(rows);
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    }

    /// Executes a mutation with one input. The inner error has why the server refused it, and then nothing was changed.
    /// A request that got no answer is not repeated, because it may have been executed.
    pub async fn change(&self, name: &str, input: &Value, fields: &str) -> Result<Result<Value, Vec<String>>, String> {
        let kind = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query = format!(
            "mutation($input: {kind}!) {{ {name}(input: $input) {{ {fields} userErrors {{ code field message }} }} }}"
        );
        let body = json!({ "query": query, "variables": { "input": input } }).to_string();
        let mut tries = 0;
        let response = loop {
            tries += 1;
            let request = self.http.post(self.at("graphql")?).bearer_auth(&self.token).timeout(LONG_PATIENCE);
            let request = request.header("content-type", "application/json").body(body.clone());
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            if response.status().as_u16() != 429 || tries == TRIES {
                break response;
            }
            sleep(asked_pause(&response)).await;
        };
        if response.status().as_u16() == 429 || response.status().is_server_error() {
            return Err(errors_of(response).await.join("\n"));
        }
        let mut answer = json_of(response).await?;
        let errors = messages(&answer);
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        let payload = answer["data"][name].take();
        let refusals = payload["userErrors"].as_array().into_iter().flatten();
        let refusals: Vec<_> = refusals.map(refusal).collect();
        Ok(if refusals.is_empty() { Ok(payload) } else { Err(refusals) })
    }

    /// The id of the instance with this name, or with this id.
    pub async fn instance(&self, name: &str) -> Result<String, String> {
        let fields = "nodes { id name integration { isDelivered } }";
        let query = format!(
            "query($name: String!) {{ instances(first: 100, filter: {{ search: $name, statuses: [LIVE, INACTIVE] }}) {{ {fields} }} }}"
        );
        let found = self.ask(&query, json!({ "name": name })).await?;
        let nodes = found["instances"]["nodes"].as_array().cloned().unwrap_or_default();
        let named =
            |node: &&Value| node["name"].as_str().is_some_and(|known| known.to_lowercase() == name.to_lowercase());
        match nodes.iter().find(named) {
            Some(node) if node["integration"]["isDelivered"] != json!(true) => {
                Err(format!("--instance: the users of \"{name}\" are not delivered: it is no instance of List"))
            }
            Some(node) => Ok(node["id"].as_str().unwrap_or_default().to_owned()),
            // The server says if it is neither.
            None if crate::graphql::id::decode(crate::graphql::id::Kind::Instance, name).is_ok() => Ok(name.to_owned()),
            None => Err(format!("--instance: there is no instance named \"{name}\", or the token does not see it")),
        }
    }

    /// Sends a file. The inner error has what is wrong with it.
    pub async fn deliver(
        &self,
        instance: &str,
        content_type: &str,
        parameters: &[(String, String)],
        body: Body,
    ) -> Result<Result<Value, Vec<String>>, String> {
        let mut url = self.at(&format!("lists/{instance}"))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let request = self.http.put(url).bearer_auth(&self.token).header("content-type", content_type).body(body);
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status().as_u16() {
            202 => Ok(Ok(json_of(response).await?)),
            409 | 422 => Ok(Err(errors_of(response).await)),
            _ => Err(errors_of(response).await.join("\n")),
        }
    }

    pub async fn run(&self, id: &str) -> Result<Run, String> {
        let query =
            "query($id: ID!) { syncRun(id: $id) { outcome seen added changed removed remark failure { message } } }";
        let found = self.ask(query, json!({ "id": id })).await?;
        let run = &found["syncRun"];
        if run.is_null() {
            return Err("the server does not know the run of the list any more".to_owned());
        }
        let count = |name: &str| run[name].as_i64().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Run {
            outcome: text(&run["outcome"]),
            seen: count("seen"),
            added: count("added"),
            changed: count("changed"),
            removed: count("removed"),
            message: text(&run["failure"]["message"]).or_else(|| text(&run["remark"])),
        })
    }
}

/// A refusal with the field that it is about.
fn refusal(error: &Value) -> String {
    let path: Vec<_> = error["field"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let message = error["message"].as_str().unwrap_or_default();
    if path.is_empty() { message.to_owned() } else { format!("{}: {message}", path.join(".")) }
}

/// How long the server asks to wait.
fn asked_pause(response: &Response) -> Duration {
    let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    asked.map_or(PAUSE, Duration::from_secs).min(LONG_PATIENCE)
}

async fn answer(response: Response) -> Result<Value, String> {
    let status = response.status();
    if status.is_redirection() {
        return Err(format!(
            "--server: the server sends elsewhere (status {}): give its final address",
            status.as_u16()
        ));
    }
    let body = json_of(response).await?;
    let errors = messages(&body);
    if errors.is_empty() { Ok(body["data"].clone()) } else { Err(errors.join("\n")) }
}

async fn json_of(response: Response) -> Result<Value, String> {
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| unreachable(&error))?;
    serde_json::from_str(&text).map_err(|_| format!("--server: the answer (status {status}) is not that of Muster"))
}

/// What the server says is wrong.
async fn errors_of(response: Response) -> Vec<String> {
    let status = response.status().as_u16();
    let errors = match json_of(response).await {
        Ok(body) => messages(&body),
        Err(line) => vec![line],
    };
    if errors.is_empty() { vec![format!("the server answered with the status {status}")] } else { errors }
}

fn messages(body: &Value) -> Vec<String> {
    let errors = body["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["message"].as_str().map(str::to_owned)).collect()
}

fn unreachable(error: &reqwest::Error) -> String {
    let mut line = "the server could not be reached".to_owned();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
