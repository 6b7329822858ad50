//! Deadlocks and lock waits: another session locks the same rows in another order. A transaction that PostgreSQL rolls
//! back is run again as a whole.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::{Ground, done};
use crate::peers::Cluster;

/// A session that keeps its locks until `COMMIT`.
async fn rival(cluster: &Cluster) -> DatabaseConnection {
    let rival = cluster.connect("muster").await.unwrap();
    rival.execute_unprepared("BEGIN").await.unwrap();
    rival
}

/// Waits until a session waits for a lock.
async fn until_somebody_waits(cluster: &Cluster) {
    let deadline = tokio::time::Instant::now() + crate::support::DEADLINE;
    while cluster
        .count("SELECT count(*) FROM pg_stat_activity WHERE usename = 'muster' AND wait_event_type = 'Lock'")
        .await
        == 0
    {
        assert!(tokio::time::Instant::now() < deadline, "nobody waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn undone(ground: &Ground) -> u64 {
    let text = crate::support::http().get(format!("{}/metrics", ground.replica.url())).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("muster_database_transactions_undone_total "));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_that_loses_a_deadlock_is_done_again_as_a_whole() {
    let ground = Ground::build().await;
    let id = ground.rehearse("Acme", &[]).await;
    ground.idle(&id, "").await;
    let rival = rival(&ground.cluster).await;
    rival.execute_unprepared("LOCK TABLE event IN EXCLUSIVE MODE").await.unwrap();
    let renaming = async {
        // The program holds the instance and waits for the log; the other session holds the log and waits for the
        // instance.
        done(ground.rename(&id, "after all").await)
    };
    let rivalry = async {
        until_somebody_waits(&ground.cluster).await;
        rival.execute_unprepared("SELECT * FROM instance FOR UPDATE").await.unwrap();
        rival.execute_unprepared("COMMIT").await.unwrap();
    };
    tokio::join!(renaming, rivalry);
    assert!(ground.cluster.log().contains("deadlock detected"));
    assert!(undone(&ground).await > 0, "it was the rival that lost");
    assert_eq!(ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await, 1);
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_that_cannot_be_serialised_is_done_again_as_a_whole() {
    let cluster = Cluster::start().await;
    cluster.execute("ALTER ROLE muster SET default_transaction_isolation = 'repeatable read'").await;
    let ground = Ground::around(cluster).await.serving().await;
    let id = ground.rehearse("Acme", &[]).await;
    ground.idle(&id, "").await;
    let rival = rival(&ground.cluster).await;
    rival.execute_unprepared("UPDATE instance SET updated_at = updated_at + 1").await.unwrap();
    let rivalry = async {
        until_somebody_waits(&ground.cluster).await;
        rival.execute_unprepared("COMMIT").await.unwrap();
    };
    let (renamed, ()) = tokio::join!(ground.rename(&id, "after all"), rivalry);
    done(renamed);
    assert!(ground.cluster.log().contains("could not serialize access"));
    assert!(undone(&ground).await > 0);
    assert_eq!(ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await, 1);
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_held_for_long_is_waited_for_and_not_for_ever() {
    let ground = Ground::build().await;
    let id = ground.rehearse("Acme", &[]).await;
    ground.idle(&id, "").await;
    let rival = rival(&ground.cluster).await;
    rival.execute_unprepared("SELECT * FROM instance FOR UPDATE").await.unwrap();
    let began = tokio::time::Instant::now();
    let rivalry = async {
        // Longer than the lock timeout.
        tokio::time::sleep(Duration::from_secs(12)).await;
        rival.execute_unprepared("COMMIT").await.unwrap();
    };
    let (renamed, ()) = tokio::join!(ground.rename(&id, "after all"), rivalry);
    done(renamed);
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await, 1);
    ground.assert_clean();
}
