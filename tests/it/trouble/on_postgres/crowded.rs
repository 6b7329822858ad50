//! PostgreSQL has no free connection.

use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::{Ground, done};
use crate::chaos::on_postgres::asking::{Answer, LONGEST};
use crate::peers::Cluster;

/// Takes all connections that are still free.
async fn crowd(cluster: &Cluster) -> Vec<DatabaseConnection> {
    let mut crowd = Vec::new();
    loop {
        let mut options = ConnectOptions::new(cluster.url());
        options.max_connections(1).min_connections(1).sqlx_logging(false).acquire_timeout(Duration::from_secs(1));
        match Database::connect(options).await {
            Ok(connection) => crowd.push(connection),
            Err(_) => return crowd,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_connections_to_spare_requests_wait_or_are_refused_and_nothing_breaks() {
    let cluster = Cluster::with(&["max_connections=20"], None).await;
    let mut ground = Ground::around(cluster).await.serving().await;
    let id = ground.rehearse("Acme", &[]).await;
    ground.idle(&id, "").await;
    let crowd = crowd(&ground.cluster).await;
    assert!(!crowd.is_empty());
    // Some of the program's own connections are taken as well.
    let mine = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'muster' AND usename = 'muster' LIMIT 3) AS taken";
    ground.cluster.rows(mine).await;
    let more = self::crowd(&ground.cluster).await;
    let reads = join_all((0..60).map(|_| ground.read("{ instances { nodes { name users { totalCount } } } }")));
    let names: Vec<_> = (0..20).map(|number| format!("no. {number}")).collect();
    let renames = join_all(names.iter().map(|name| ground.rename(&id, name)));
    let (reads, renames) = futures_util::future::join(reads, renames).await;
    let slowest = ground.tally.figures().slowest;
    assert!(slowest < LONGEST, "{slowest:?}");
    for answer in reads.iter().chain(&renames) {
        assert!(matches!(answer, Answer::Done(_) | Answer::Unavailable), "{answer:?}");
    }
    let acknowledged = renames.iter().filter(|answer| matches!(answer, Answer::Done(_))).count();
    let updates = ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await;
    assert_eq!(updates, i64::try_from(acknowledged).unwrap());
    println!("of 60 reads and 20 renames {acknowledged} renames were done; the slowest took {slowest:.1?}");
    for connection in crowd.into_iter().chain(more) {
        connection.close().await.unwrap();
    }
    ground.recovered(&id).await;
    done(ground.rename(&id, "room again").await);
    ground.assert_clean();
}
