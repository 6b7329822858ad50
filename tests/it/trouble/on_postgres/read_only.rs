//! PostgreSQL is read-only for a while, as during a fail-over.

use std::time::Duration;

use serde_json::json;

use super::Ground;
use crate::chaos::on_postgres::asking::Answer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_read_only_window_mutations_are_refused_reads_work_and_workers_wait() {
    let mut ground = Ground::build().await;
    let config = [("users", "400"), ("page_size", "10"), ("latency_ms", "50")];
    let id = ground.rehearse("Acme", &config).await;
    ground.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(20)).await;
    ground.cluster.read_only(true).await;
    // The setting takes effect on a connection when it is used next.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..10 {
        assert_eq!(ground.rename(&id, "in vain").await, Answer::Unavailable);
        let Answer::Done(found) = ground.read("{ instances { nodes { name userCount } } }").await else {
            panic!("reads must work");
        };
        assert_eq!(found["instances"]["nodes"][0]["name"], "Acme");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let seen = ground.cluster.count("SELECT seen FROM sync_run").await;
    assert!(seen < 400, "the run was over before the window");
    ground.cluster.read_only(false).await;
    let took = ground.recovered(&id).await;
    println!("itself again after {took:.2?}");
    let found = ground.idle(&id, "lastSync { outcome seen added } syncHistory { totalCount }").await;
    assert_eq!(found["lastSync"], json!({ "outcome": "SUCCEEDED", "seen": 400, "added": 400 }));
    assert_eq!(found["syncHistory"]["totalCount"], 1);
    ground.assert_clean();
}
