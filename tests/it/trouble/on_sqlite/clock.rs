//! The machine's clock jumps back two hours, ahead thirty days, and back again, by means of libfaketime (Debian:
//! libfaketime). The monotonic clock is not affected, as on a real machine.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::chaos::on_postgres::replica::Replica;
use crate::process::Home;
use crate::support::{Client, DEADLINE};

fn library() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("left out, because there is no libfaketime (on Debian: apt-get install libfaketime)");
    }
    found
}

/// The runs, and what triggered them.
async fn runs(client: &Client, id: &str) -> Vec<String> {
    let runs = client.runs(id, "trigger outcome").await;
    runs.iter()
        .map(|run| format!("{} {}", run["trigger"].as_str().unwrap(), run["outcome"].as_str().unwrap_or("-")))
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story in its order")]
async fn a_clock_that_jumps_stops_nothing_repeats_nothing_and_loses_nothing() {
    let Some(library) = library() else { return };
    let home = Home::new();
    let token = home.token();
    let time = home.dir.path().join("time");
    let turn = |offset: &str| fs::write(&time, format!("{offset}\n")).unwrap();
    turn("+0");
    let faked = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", time.display().to_string()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_NO_CACHE", "1".into()),
    ];
    let mut replica = Replica::with(home, &["serve"], &faked);
    replica.launch();
    replica.until_ready(DEADLINE).await;
    let client = Client::new(replica.url(), token);
    let hourly = client.rehearse("Hourly", &[("users", "30")]).await;
    client.idle(&hourly, "").await;
    let slow = [("users", "400"), ("page_size", "10"), ("latency_ms", "50")];

    // Back: the running sync continues, and a new one is carried out.
    let running = client.rehearse("Running", &slow).await;
    client.until(&running, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(20)).await;
    turn("-2h");
    assert_eq!(client.sync(&hourly, "outcome").await["outcome"], "SUCCEEDED");
    let found = client.idle(&running, "lastSync { outcome seen added }").await;
    assert_eq!(found["lastSync"], json!({ "outcome": "SUCCEEDED", "seen": 400, "added": 400 }));
    turn("+0");
    assert_eq!(runs(&client, &hourly).await, ["INITIAL SUCCEEDED", "MANUAL SUCCEEDED"]);

    // Ahead: due syncs run once, and nothing is pruned.
    turn("+30d");
    for id in [&hourly, &running] {
        client
            .until(id, "lastSync { trigger } syncState", |found| {
                found["lastSync"]["trigger"] == "SCHEDULED" && found["syncState"] == "IDLE"
            })
            .await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(runs(&client, &hourly).await, ["INITIAL SUCCEEDED", "MANUAL SUCCEEDED", "SCHEDULED SUCCEEDED"]);
    let kept =
        client.ask("{ users { totalCount } instances { totalCount } notifications { totalCount } }", json!({})).await;
    assert_eq!(
        kept,
        json!({ "users": { "totalCount": 430 }, "instances": { "totalCount": 2 }, "notifications": { "totalCount": 2 } })
    );

    // Back again, with a kill in the middle: no lease or schedule may stay a month ahead.
    client
        .ask("mutation($id: ID!) { syncInstance(input: { id: $id }) { run { id } } }", json!({ "id": running }))
        .await;
    client.until(&running, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(20)).await;
    turn("+0");
    replica.kill();
    replica.launch();
    replica.until_ready(DEADLINE).await;
    // The repair job finds the times that are a month ahead.
    let deadline = tokio::time::Instant::now() + 4 * DEADLINE;
    let found = loop {
        let found = client.instance(&running, "syncState lastSync { trigger outcome seen added }").await;
        if found["syncState"] == "IDLE" {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found}: {}", replica.last_lines());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(found["lastSync"], json!({ "trigger": "MANUAL", "outcome": "SUCCEEDED", "seen": 400, "added": 0 }));
    let home = &replica.home;
    let ahead = "SELECT CAST(count(*) AS TEXT) FROM instance WHERE next_sync_at > (SELECT max(at) FROM event WHERE cause = 'created') + 3 * 3600000";
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while home.one(ahead).await != "0" {
        assert!(tokio::time::Instant::now() < deadline, "a schedule lies a month ahead");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(client.sync(&hourly, "outcome").await["outcome"], "SUCCEEDED");
    let doctor = home.command(&["doctor"]).stdout(Stdio::piped()).output().unwrap();
    assert!(doctor.status.success(), "{doctor:?}");
}
