//! Users who change instances all the time and remember what was acknowledged.
//!
//! Each has its own instances and so knows what must be stored. A missing response leaves two possibilities; the actor
//! then leaves the instance alone until it has read its state.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::asking::{Answer, Asker};
use crate::peers::Cluster;

/// How many instances each actor keeps.
const INSTANCES: usize = 6;
/// The pause between two requests of an actor, in milliseconds.
const PAUSE_MS: Range<u64> = 30..150;
const OUTCOMES: [&str; 10] = [
    "success",
    "success",
    "success,transient,success",
    "success,garbage,success,transient",
    "transient,success",
    "success,partial",
    "success,hang,success",
    "success,success,hang,transient,success",
    "success,token_inactive,success,success",
    "transient,token_inactive,transient,token_inactive,success",
];

/// What an actor knows of an instance.
struct Known {
    id: String,
    hangs: bool,
    /// A run may switch it off. Only an actor switches it on again.
    mortal: bool,
    /// Its name, or all its possible names.
    names: Vec<String>,
    /// Its status, or all its possible statuses.
    statuses: Vec<&'static str>,
    revision: Range<i64>,
    /// Runs acknowledged since the last comparison.
    runs: Vec<String>,
}

impl Known {
    /// It exists, and its state is certain.
    fn certain(&self) -> bool {
        self.statuses != ["DELETED"]
            && self.names.len() == 1
            && self.statuses.len() == 1
            && self.revision.end - self.revision.start == 1
    }

    fn live(&self) -> bool {
        self.statuses == ["LIVE"]
    }

    fn may_be(&self, status: &str) -> bool {
        self.statuses.contains(&status) || (self.mortal && status == "INACTIVE" && self.statuses.contains(&"LIVE"))
    }
}

fn hangs(outcomes: &str) -> bool {
    outcomes.contains("hang")
}

fn mortal(outcomes: &str) -> bool {
    outcomes.contains("token_inactive")
}

/// A user who changes instances.
pub struct Actor {
    number: usize,
    random: fastrand::Rng,
    asker: Asker,
    urls: Vec<String>,
    known: Vec<Known>,
    /// Names of instances that may have been created.
    unborn: Vec<String>,
    /// What the organisation's recipients may be; only the first actor sets them.
    recipients: Vec<Vec<String>>,
    made: usize,
    /// Instances that are known to be deleted, or being deleted.
    pub deleted: usize,
    /// Contradictions to what was acknowledged.
    pub contradictions: Vec<String>,
}

impl Actor {
    pub fn new(number: usize, seed: u64, asker: Asker, urls: Vec<String>) -> Actor {
        Actor {
            number,
            random: fastrand::Rng::with_seed(seed),
            asker,
            urls,
            known: Vec::new(),
            unborn: Vec::new(),
            recipients: vec![Vec::new()],
            made: 0,
            deleted: 0,
            contradictions: Vec::new(),
        }
    }

    /// Sends requests until `stop`.
    pub async fn act(mut self, stop: CancellationToken) -> Actor {
        while !stop.is_cancelled() {
            self.step().await;
            let pause = Duration::from_millis(self.random.u64(PAUSE_MS));
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self
    }

    async fn step(&mut self) {
        let url = self.urls[self.random.usize(..self.urls.len())].clone();
        let chance = self.random.u8(..100);
        if chance < 20 {
            let query = "{ instances(first: 20) { nodes { id name status health userCount lastSync { outcome } } } }";
            self.asker.read(&url, query).await;
            return;
        }
        if self.number == 0 && chance < 28 {
            return self.set_recipients(&url).await;
        }
        let open: Vec<_> = (0..self.known.len()).filter(|at| self.known[*at].certain()).collect();
        if self.known.len() + self.unborn.len() < INSTANCES && (chance < 50 || open.is_empty()) {
            return self.create(&url).await;
        }
        if open.is_empty() {
            return;
        }
        let at = open[self.random.usize(..open.len())];
        match chance {
            28..50 => self.rename(&url, at).await,
            // A run may have switched it off just now.
            50..58 if !(self.known[at].mortal && self.known[at].live()) => self.switch(&url, at).await,
            58..63 => self.delete(&url, at).await,
            63..66 => self.cancel(&url, at).await,
            // Sometimes syncs an instance that is not live, which must be refused.
            _ if self.known[at].live() || chance < 70 => self.sync(&url, at).await,
            _ => self.switch(&url, at).await,
        }
    }

    fn fresh_name(&mut self) -> String {
        self.made += 1;
        format!("actor {} no. {}", self.number, self.made)
    }

    async fn create(&mut self, url: &str) {
        let name = self.fresh_name();
        let outcomes = OUTCOMES[self.random.usize(..OUTCOMES.len())];
        let (users, page) = (self.random.u32(20..150), self.random.u32(10..60));
        let (latency, churn) = (self.random.u32(0..60), self.random.u32(0..3) * 2);
        let config = [
            ("users", users.to_string()),
            ("page_size", page.to_string()),
            ("latency_ms", latency.to_string()),
            ("churn_percent", churn.to_string()),
            ("outcomes", outcomes.to_owned()),
        ];
        let config: Vec<_> = config.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let interval = if self.random.bool() { 1 } else { 60 };
        let input =
            json!({ "integrationKey": "rehearsal", "name": name, "config": config, "syncIntervalMinutes": interval });
        match self.asker.mutate(url, "createInstance", &input, "instance { id revision currentSync { id } }").await {
            Answer::Done(payload) => {
                let instance = &payload["instance"];
                let revision = instance["revision"].as_i64().unwrap();
                let run = instance["currentSync"]["id"].as_str().map(str::to_owned);
                self.known.push(Known {
                    id: instance["id"].as_str().unwrap().to_owned(),
                    hangs: hangs(outcomes),
                    mortal: mortal(outcomes),
                    names: vec![name],
                    statuses: vec!["LIVE"],
                    revision: revision..revision + 1,
                    runs: run.into_iter().collect(),
                });
            }
            Answer::Refused(codes) => self.contradictions.push(format!("creation refused: {codes:?}")),
            Answer::Unavailable => {}
            Answer::Lost => self.unborn.push(name),
        }
    }

    async fn rename(&mut self, url: &str, at: usize) {
        let name = self.fresh_name();
        let input = json!({ "id": self.known[at].id, "name": name });
        let answer = self.asker.mutate(url, "updateInstance", &input, "instance { name }").await;
        self.settle(at, "rename", &answer, |known, done| {
            if done {
                known.names.clear();
            }
            known.names.push(name);
        });
    }

    async fn switch(&mut self, url: &str, at: usize) {
        let status = if self.known[at].live() { "INACTIVE" } else { "LIVE" };
        let input = json!({ "id": self.known[at].id, "status": status });
        let answer = self.asker.mutate(url, "updateInstance", &input, "instance { status }").await;
        if self.known[at].mortal && answer == Answer::Refused(vec!["CREDENTIAL_REJECTED".into()]) {
            return;
        }
        self.settle(at, status, &answer, |known, done| {
            if done {
                known.statuses.clear();
            }
            known.statuses.push(status);
        });
    }

    async fn delete(&mut self, url: &str, at: usize) {
        let input = json!({ "id": self.known[at].id, "acknowledgeIrreversible": true });
        let answer = self.asker.mutate(url, "deleteInstance", &input, "instance { status }").await;
        self.settle(at, "delete", &answer, |known, done| {
            if done {
                known.statuses.clear();
            }
            known.statuses.push("DELETED");
        });
    }

    async fn sync(&mut self, url: &str, at: usize) {
        let known = &self.known[at];
        let (live, mortal, input) = (known.live(), known.mortal, json!({ "id": known.id }));
        match self.asker.mutate(url, "syncInstance", &input, "run { id }").await {
            Answer::Done(payload) if live => {
                self.known[at].runs.push(payload["run"]["id"].as_str().unwrap().to_owned());
            }
            Answer::Refused(codes) if (!live || mortal) && codes == ["INSTANCE_INACTIVE"] => {}
            // A queued run does not show in the fields that are compared.
            Answer::Unavailable | Answer::Lost => {}
            other => self.contradictions.push(format!("sync of one that is live: {live}, answered {other:?}")),
        }
    }

    async fn cancel(&mut self, url: &str, at: usize) {
        let input = json!({ "instanceId": self.known[at].id });
        match self.asker.mutate(url, "cancelSync", &input, "run { id }").await {
            Answer::Refused(codes) if codes != ["NOTHING_TO_CANCEL"] => {
                self.contradictions.push(format!("cancellation refused: {codes:?}"));
            }
            _ => {}
        }
    }

    async fn set_recipients(&mut self, url: &str) {
        if self.recipients.len() > 1 {
            return;
        }
        let first = self.random.u8(..7);
        let emails: Vec<_> =
            (first..first + self.random.u8(..3)).map(|number| format!("r{number}@example.com")).collect();
        let input = json!({ "emails": emails });
        match self.asker.mutate(url, "setRecipients", &input, "__typename").await {
            Answer::Done(_) => self.recipients = vec![emails],
            Answer::Refused(codes) => self.contradictions.push(format!("recipients refused: {codes:?}")),
            Answer::Unavailable => {}
            Answer::Lost => self.recipients.push(emails),
        }
    }

    /// Records the outcome of a change of one instance.
    fn settle(&mut self, at: usize, what: &str, answer: &Answer, change: impl FnOnce(&mut Known, bool)) {
        let known = &mut self.known[at];
        match answer {
            Answer::Done(_) => {
                change(known, true);
                known.revision = known.revision.start + 1..known.revision.end + 1;
            }
            Answer::Unavailable => {}
            Answer::Lost => {
                change(known, false);
                known.revision.end += 1;
            }
            Answer::Refused(codes) => {
                self.contradictions
                    .push(format!("{what} of {} ({:?}) refused: {codes:?}", known.names[0], known.statuses));
            }
        }
    }

    /// Ends the runs of applications that never answer.
    pub async fn release(&mut self) {
        for known in self.known.iter().filter(|known| known.hangs) {
            let input = json!({ "instanceId": known.id });
            self.asker.mutate(&self.urls[0], "cancelSync", &input, "run { id }").await;
        }
    }

    /// Compares what was acknowledged with what is stored, and resolves what was uncertain.
    pub async fn look(&mut self, cluster: &Cluster) {
        let stored = Stored::read(cluster).await;
        for known in &mut self.known {
            let Some(row) = stored.instances.get(&row_id(&known.id)) else {
                self.contradictions.push(format!("{:?} was created and is not stored", known.names));
                continue;
            };
            let name = row["name"].as_str().unwrap().to_owned();
            let status = match row["status"].as_str().unwrap() {
                "live" => "LIVE",
                "inactive" => "INACTIVE",
                _ => "DELETED",
            };
            let revision = row["revision"].as_i64().unwrap();
            if !known.names.contains(&name) || !known.may_be(status) || !known.revision.contains(&revision) {
                self.contradictions.push(format!(
                    "acknowledged: {:?} {:?} revision {:?}; stored: {name:?} {status} revision {revision}",
                    known.names, known.statuses, known.revision
                ));
            }
            for run in known.runs.drain(..) {
                if !stored.runs.contains_key(&row_id(&run)) {
                    self.contradictions.push(format!("{name}: a run was acknowledged and is not stored"));
                }
            }
            (known.names, known.statuses, known.revision) = (vec![name], vec![status], revision..revision + 1);
        }
        let before = self.known.len();
        self.known.retain(|known| known.statuses != ["DELETED"]);
        self.deleted += before - self.known.len();
        self.adopt(&stored);
        if self.number == 0 {
            if !self.recipients.contains(&stored.recipients) {
                self.contradictions.push(format!("recipients {:?}; stored: {:?}", self.recipients, stored.recipients));
            }
            self.recipients = vec![stored.recipients];
        }
    }

    /// Of the instances that may have been created, those that were.
    fn adopt(&mut self, stored: &Stored) {
        for name in self.unborn.drain(..) {
            let Some((id, row)) = stored.instances.iter().find(|(_, row)| row["name"] == *name) else { continue };
            let revision = row["revision"].as_i64().unwrap();
            let id = URL_SAFE_NO_PAD.encode(format!("Instance:{}", id.replace('-', "")));
            let outcomes = row["outcomes"].as_str().unwrap_or_default();
            self.known.push(Known {
                id,
                hangs: hangs(outcomes),
                mortal: mortal(outcomes),
                names: vec![name],
                statuses: vec!["LIVE"],
                revision: revision..revision + 1,
                runs: Vec::new(),
            });
        }
    }
}

/// What the database holds.
struct Stored {
    instances: HashMap<String, Value>,
    runs: HashMap<String, Value>,
    recipients: Vec<String>,
}

impl Stored {
    async fn read(cluster: &Cluster) -> Stored {
        let by_id =
            |rows: Vec<Value>| rows.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect();
        let instances = "SELECT id, name, status, revision, config->>'outcomes' AS outcomes FROM instance";
        let recipients = cluster.rows("SELECT address FROM recipient ORDER BY address").await;
        Stored {
            instances: by_id(cluster.rows(instances).await),
            runs: by_id(cluster.rows("SELECT id FROM sync_run").await),
            recipients: recipients.iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect(),
        }
    }
}

/// The key of the row for an id of the API.
fn row_id(id: &str) -> String {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).unwrap()).unwrap();
    let (_, hex) = text.split_once(':').unwrap();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
