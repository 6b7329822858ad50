//! A worker that is suspended for longer than its lease.

use std::time::Duration;

use serde_json::json;

use super::Ground;
use crate::chaos::on_postgres::asking::Answer;
use crate::chaos::on_postgres::replica::Replica;
use crate::process::Home;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stood_still_for_longer_than_its_lease_writes_nothing_more() {
    let ground = Ground::build().await;
    let key = ground.replica.home.data_dir().join("secret.key");
    let home =
        Home::on_sqlite().set("DATABASE_URL", ground.cluster.url()).set("SECRET_KEY_FILE", key.display().to_string());
    let config = [("users", "1000"), ("page_size", "20"), ("latency_ms", "400")];
    let id = ground.rehearse("Acme", &config).await;
    ground.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(60)).await;
    ground.replica.signal("STOP");
    let mut other = Replica::new(home, &["serve"]);
    other.launch();
    other.until_ready(Duration::from_secs(20)).await;
    let asker = ground.asker.clone();
    let taken_over = async {
        while !other.log().contains("continues where it was interrupted") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), taken_over).await.expect("taken over within a minute");
    // The first resumes while the second is working.
    ground.replica.signal("CONT");
    let going_on = "SELECT count(*) FROM sync_run WHERE outcome IS NULL AND seen < 900";
    assert_eq!(ground.cluster.count(going_on).await, 1, "it woke too late to do any harm");
    let query = format!(
        "{{ instance(id: {id:?}) {{ syncState userCount syncHistory {{ totalCount }} lastSync {{ outcome seen added removed }} }} }}"
    );
    let found = loop {
        if let Answer::Done(data) = asker.read(&other.url(), &query).await
            && data["instance"]["syncState"] == "IDLE"
        {
            break data["instance"].clone();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let run = json!({ "outcome": "SUCCEEDED", "seen": 1000, "added": 1000, "removed": 0 });
    assert_eq!((&found["lastSync"], &found["userCount"]), (&run, &json!(1000)), "{}", ground.replica.last_lines());
    assert_eq!(found["syncHistory"]["totalCount"], 1);
    assert_eq!(ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'sync_succeeded'").await, 1);
    assert_eq!(ground.cluster.count("SELECT pages FROM sync_run").await, 50, "each page was stored once");
    assert_eq!(ground.cluster.count("SELECT count(*) FROM notification").await, 1);
    ground.assert_clean();
}
