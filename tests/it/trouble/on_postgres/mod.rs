//! Failures of PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::chaos::on_postgres::asking::{Answer, Asker, Tally};
use crate::chaos::on_postgres::replica::Replica;
use crate::peers::{Cluster, Proxy};
use crate::process::Home;
use crate::support::DEADLINE;

mod commits;
mod crowded;
mod full;
mod read_only;
mod restarts;
mod rivals;
mod tools;
mod unreachable;
mod worker;

/// How soon the program must work again after its database does.
const READY: Duration = Duration::from_secs(5);

/// A database cluster, the program, and a proxy between the two.
struct Ground {
    cluster: Cluster,
    line: Proxy,
    replica: Replica,
    asker: Asker,
    tally: Tally,
    token: String,
}

impl Ground {
    /// Starts everything, and waits until the program is ready.
    async fn build() -> Ground {
        Self::around(Cluster::start().await).await.serving().await
    }

    /// Starts everything but the program.
    async fn around(cluster: Cluster) -> Ground {
        let line = Proxy::start(cluster.port).await;
        let home = Home::on_sqlite().set("DATABASE_URL", Cluster::url_at(line.port));
        let token = home.token();
        let tally = Tally::default();
        let asker = Asker::new(&token, &tally);
        Ground { cluster, line, replica: Replica::new(home, &["serve"]), asker, tally, token }
    }

    async fn serving(mut self) -> Ground {
        self.replica.launch();
        self.replica.until_ready(DEADLINE).await;
        self
    }

    async fn mutate(&self, field: &str, input: Value, fields: &str) -> Answer {
        self.asker.mutate(&self.replica.url(), field, &input, fields).await
    }

    async fn read(&self, query: &str) -> Answer {
        self.asker.read(&self.replica.url(), query).await
    }

    /// Creates a rehearsal instance and returns its id.
    async fn rehearse(&self, name: &str, config: &[(&str, &str)]) -> String {
        let config: Vec<_> = config.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let input = json!({ "integrationKey": "rehearsal", "name": name, "config": config });
        let made = done(self.mutate("createInstance", input, "instance { id }").await);
        made["instance"]["id"].as_str().unwrap().to_owned()
    }

    /// A mutation that renames the instance.
    async fn rename(&self, id: &str, name: &str) -> Answer {
        self.mutate("updateInstance", json!({ "id": id, "name": name }), "instance { name revision }").await
    }

    /// Waits until `wanted` is true for the fields of an instance. Responses without a database are ignored.
    async fn until(&self, id: &str, fields: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let query = format!("{{ instance(id: {id:?}) {{ {fields} }} }}");
        let deadline = Instant::now() + 2 * DEADLINE;
        let mut last = Answer::Lost;
        while Instant::now() < deadline {
            last = self.read(&query).await;
            if let Answer::Done(data) = &last
                && wanted(&data["instance"])
            {
                return data["instance"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited too long; it is {last:?}; {}", self.replica.last_lines());
    }

    async fn idle(&self, id: &str, fields: &str) -> Value {
        self.until(id, &format!("syncState {fields}"), |found| found["syncState"] == "IDLE").await
    }

    /// Waits for a status of a health check.
    async fn until_status(&self, path: &str, status: u16, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let found = self.replica.status(path).await;
            if found == Some(status) {
                return;
            }
            assert!(Instant::now() < deadline, "{path} is {found:?}, not {status}: {}", self.replica.last_lines());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it reports that it is ready and acknowledges a mutation.
    async fn recovered(&mut self, id: &str) -> Duration {
        let began = Instant::now();
        self.replica.until_ready(READY).await;
        let name = format!("after {:?}", Instant::now());
        while !matches!(self.rename(id, &name).await, Answer::Done(_)) {
            assert!(began.elapsed() < 2 * READY, "no mutation: {}", self.replica.last_lines());
        }
        began.elapsed()
    }

    /// Asserts that no client received inner error text, and that the doctor finds no fault.
    fn assert_clean(&self) {
        let figures = self.tally.figures();
        assert!(figures.faults.is_empty(), "{:#?}", figures.faults);
        let told = self.replica.home.run(&["doctor"]);
        assert!(told.status.success(), "{told:?}");
    }
}

/// The payload of an acknowledged mutation.
fn done(answer: Answer) -> Value {
    match answer {
        Answer::Done(payload) => payload,
        other => panic!("not acknowledged: {other:?}"),
    }
}
