//! Requests to a server that may be down, frozen or without its database, and what their outcomes mean.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::http;

/// No request may take longer, whatever the database does.
pub const LONGEST: Duration = Duration::from_secs(30);

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The payload of a mutation, or the data of a query.
    Done(Value),
    /// The codes of `userErrors`: nothing was changed.
    Refused(Vec<String>),
    /// The error `UNAVAILABLE`: nothing was changed.
    Unavailable,
    /// No usable response: the change may have been made or not.
    Lost,
}

/// Statistics that several clients share.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Figures>>);

#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub acknowledged: usize,
    pub refused: usize,
    pub unavailable: usize,
    pub lost: usize,
    pub reads: usize,
    pub failed_reads: usize,
    pub slowest: Duration,
    /// Responses that no client may receive.
    pub faults: Vec<String>,
}

impl Tally {
    pub fn change(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.0.lock().unwrap());
    }

    pub fn figures(&self) -> Figures {
        self.0.lock().unwrap().clone()
    }
}

/// A client of one token and several servers.
#[derive(Clone)]
pub struct Asker {
    token: String,
    http: reqwest::Client,
    pub tally: Tally,
}

impl Asker {
    pub fn new(token: &str, tally: &Tally) -> Asker {
        let _provider_of_cryptography = http();
        // Longer than a request may take, so that a hanging request is noticed.
        let http = reqwest::Client::builder().timeout(LONGEST + Duration::from_secs(5)).build().unwrap();
        Asker { token: token.to_owned(), http, tally: tally.clone() }
    }

    /// A mutation with one input; its payload has `userErrors` and `fields`.
    pub async fn mutate(&self, url: &str, field: &str, input: &Value, fields: &str) -> Answer {
        let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!(
            "mutation($input: {kind}!) {{ {field}(input: $input) {{ {fields} userErrors {{ code message }} }} }}"
        );
        let answer = match self.ask(url, &query, &json!({ "input": input })).await {
            Answer::Done(data) => sorted(&data[field]),
            other => other,
        };
        self.tally.change(|figures| match &answer {
            Answer::Done(_) => figures.acknowledged += 1,
            Answer::Refused(_) => figures.refused += 1,
            Answer::Unavailable => figures.unavailable += 1,
            Answer::Lost => figures.lost += 1,
        });
        answer
    }

    /// A query.
    pub async fn read(&self, url: &str, query: &str) -> Answer {
        let answer = self.ask(url, query, &json!({})).await;
        self.tally.change(|figures| match &answer {
            Answer::Done(_) => figures.reads += 1,
            _ => figures.failed_reads += 1,
        });
        answer
    }

    /// The cursor of the newest event of an instance.
    pub async fn newest_event(&self, url: &str, instance: &str) -> String {
        let query = format!("{{ instance(id: {instance:?}) {{ events(first: 1) {{ nodes {{ cursor }} }} }} }}");
        let Answer::Done(data) = self.read(url, &query).await else { panic!("the first event cannot be read") };
        let cursor = data["instance"]["events"]["nodes"][0]["cursor"].as_str();
        cursor.unwrap_or_else(|| panic!("{data}")).to_owned()
    }

    async fn ask(&self, url: &str, query: &str, variables: &Value) -> Answer {
        let began = Instant::now();
        let answer = self.send(url, &json!({ "query": query, "variables": variables })).await;
        let took = began.elapsed();
        self.tally.change(|figures| figures.slowest = figures.slowest.max(took));
        match answer {
            Ok((status, retry_after, body)) => self.sort(status, retry_after, &body),
            Err(_) => Answer::Lost,
        }
    }

    async fn send(&self, url: &str, request: &Value) -> reqwest::Result<(u16, bool, Value)> {
        let call = self.http.post(format!("{url}/graphql")).bearer_auth(&self.token);
        let answer = call.header("content-type", "application/json").body(request.to_string()).send().await?;
        let (status, retry_after) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        let body = answer.bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
        Ok((status, retry_after, body))
    }

    fn sort(&self, status: u16, retry_after: bool, body: &Value) -> Answer {
        let Some(error) = body["errors"].get(0) else {
            if status == 200 && body["data"].is_object() {
                return Answer::Done(body["data"].clone());
            }
            self.fault(format!("HTTP {status}: {body}"));
            return Answer::Lost;
        };
        match error["extensions"]["code"].as_str() {
            Some("UNAVAILABLE") => {
                // A query with partial data has not failed as a whole.
                if !retry_after && body["data"].is_null() {
                    self.fault(format!("without Retry-After, HTTP {status}: {body}"));
                }
                Answer::Unavailable
            }
            Some("OUTCOME_UNKNOWN" | "EXECUTION_TIMEOUT") => Answer::Lost,
            _ => {
                self.fault(format!("HTTP {status}: {body}"));
                Answer::Lost
            }
        }
    }

    fn fault(&self, text: String) {
        self.tally.change(|figures| figures.faults.push(text));
    }
}

fn sorted(payload: &Value) -> Answer {
    let errors = payload["userErrors"].as_array().map_or(&[][..], Vec::as_slice);
    if errors.is_empty() {
        return Answer::Done(payload.clone());
    }
    Answer::Refused(errors.iter().map(|error| error["code"].as_str().unwrap_or("no code").to_owned()).collect())
}
