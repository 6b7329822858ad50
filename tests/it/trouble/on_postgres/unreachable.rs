//! PostgreSQL is unreachable, or accepts connections and never answers. Ten seconds represent any duration.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ground, READY, done};
use crate::chaos::on_postgres::asking::{Answer, LONGEST};
use crate::peers::{Cluster, Mode};

const A_WHILE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_without_a_database_starts_waits_and_is_ready_by_itself() {
    for mode in [Mode::Down, Mode::Blackhole] {
        let mut ground = Ground::around(Cluster::start().await).await;
        ground.line.set(mode);
        ground.replica.launch();
        // Long before the first connection attempt ends.
        ground.until_status("/healthz", 200, Duration::from_secs(3)).await;
        let until = Instant::now() + A_WHILE;
        while Instant::now() < until {
            assert!(ground.replica.lives(), "{}", ground.replica.last_lines());
            assert_eq!(ground.replica.status("/healthz").await, Some(200));
            assert_eq!(ground.replica.status("/readyz").await, Some(503));
            assert_eq!(ground.read("{ instances { totalCount } }").await, Answer::Unavailable, "{mode:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        ground.line.set(Mode::Pass);
        ground.until_status("/readyz", 200, READY).await;
        let id = ground.rehearse("Acme", &[]).await;
        ground.idle(&id, "").await;
        ground.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_loses_its_database_says_so_and_is_ready_by_itself() {
    let mut ground = Ground::build().await;
    let id = ground.rehearse("Acme", &[("users", "300"), ("page_size", "10"), ("latency_ms", "100")]).await;
    ground.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(20)).await;
    ground.line.set(Mode::Down);
    ground.until_status("/readyz", 503, READY).await;
    let until = Instant::now() + A_WHILE;
    while Instant::now() < until {
        assert_eq!(ground.replica.status("/healthz").await, Some(200));
        assert_eq!(ground.replica.status("/readyz").await, Some(503));
        assert_eq!(ground.rename(&id, "in vain").await, Answer::Unavailable);
        assert_eq!(ground.read("{ instances { totalCount } }").await, Answer::Unavailable);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ground.line.set(Mode::Pass);
    let took = ground.recovered(&id).await;
    println!("itself again after {took:.2?}");
    // The run continues where it was cut, at the latest when its lease ends.
    let run = "lastSync { outcome seen added } syncHistory { totalCount }";
    let found = ground.idle(&id, run).await;
    assert_eq!(found["lastSync"], serde_json::json!({ "outcome": "SUCCEEDED", "seen": 300, "added": 300 }));
    assert_eq!(found["syncHistory"]["totalCount"], 1);
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_hangs_on_connections_that_say_nothing() {
    let mut ground = Ground::build().await;
    let mut ids = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        ids.push(ground.rehearse(name, &[]).await);
    }
    for id in &ids {
        ground.idle(id, "").await;
    }
    for mode in [Mode::Freeze, Mode::Blackhole] {
        ground.line.set(mode);
        if mode == Mode::Blackhole {
            // New connections are accepted and never answered.
            ground.line.cut();
        }
        let began = Instant::now();
        let renames = ids.iter().map(|id| ground.rename(id, "frozen"));
        let reads = (0..8).map(|_| ground.read("{ instances { nodes { name } } }"));
        let all =
            futures_util::future::join(futures_util::future::join_all(renames), futures_util::future::join_all(reads));
        let ((told, read), took) = (all.await, began.elapsed());
        println!("{mode:?}: all answered after {took:.1?}: {told:?} {read:?}");
        assert!(took < LONGEST + Duration::from_secs(1), "{mode:?}: {took:?}");
        assert!(read.iter().all(|answer| *answer != Answer::Lost), "{mode:?}: {read:?}");
        if mode == Mode::Blackhole {
            // There was no connection, so the change was certainly not made.
            assert!(told.iter().chain(&read).all(|answer| *answer == Answer::Unavailable), "{told:?} {read:?}");
        }
        assert_eq!(ground.replica.status("/healthz").await, Some(200));
        assert_eq!(ground.replica.status("/readyz").await, Some(503), "{mode:?}");
        // Prometheus waits for 10 seconds, and takes the server for dead after that.
        let began = Instant::now();
        let metrics = crate::support::http().get(format!("{}/metrics", ground.replica.url())).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{mode:?}: {:?}", began.elapsed());
        assert!(metrics.contains("\nmuster_ready 0\n"), "{mode:?}: {metrics}");
        ground.line.set(Mode::Pass);
        let took = ground.recovered(&ids[0]).await;
        println!("{mode:?}: itself again after {took:.2?}");
        for (id, answer) in ids.iter().zip(&told).skip(1) {
            let found = ground.until(id, "name", |_| true).await;
            assert!(*answer != Answer::Unavailable || found["name"] != "frozen", "{found} was not to be done");
            done(ground.rename(id, &format!("thawed {id} {mode:?}")).await);
        }
    }
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_slow_or_cut_again_and_again_are_lived_with() {
    let ground = Ground::build().await;
    ground.line.set(Mode::Latency(Duration::from_millis(20)));
    let id = ground.rehearse("Slow", &[("users", "100"), ("page_size", "50")]).await;
    assert_eq!(ground.idle(&id, "userCount").await["userCount"], 100);
    // The connection is lost after a few statements.
    ground.line.set(Mode::CutAfter(6_000));
    ground.line.cut();
    for number in 0..20 {
        match ground.rename(&id, &format!("no. {number}")).await {
            Answer::Done(_) | Answer::Unavailable => {}
            other => panic!("{other:?}"),
        }
    }
    ground.line.set(Mode::Pass);
    let found = ground.until(&id, "name revision", |_| true).await;
    let updates = ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await;
    let acknowledged = ground.tally.figures().acknowledged - 1;
    assert_eq!(
        updates,
        i64::try_from(acknowledged).unwrap(),
        "what was acknowledged was done once, and the rest was not"
    );
    assert!(acknowledged > 5, "hardly anything came through: {found}");
    ground.assert_clean();
}
