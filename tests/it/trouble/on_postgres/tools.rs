//! Tests of the tools themselves. With a proxy that does nothing, the other tests would pass, too.

use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, TransactionTrait};
use tokio::time::timeout;

use crate::peers::{Cluster, Lost, Mode, Proxy, Stop};

async fn through(line: &Proxy) -> DatabaseConnection {
    let mut options = ConnectOptions::new(Cluster::url_at(line.port));
    options.max_connections(1).min_connections(0).test_before_acquire(false).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn insert(db: &DatabaseConnection, number: i32) -> Result<(), sea_orm::DbErr> {
    let tx = db.begin().await?;
    tx.execute_unprepared(&format!("INSERT INTO told VALUES ({number})")).await?;
    tx.commit().await
}

/// The server process of the only connection.
async fn backend(cluster: &Cluster) -> serde_json::Value {
    let mut found = cluster.rows("SELECT pid FROM pg_stat_activity WHERE usename = 'muster'").await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_lost_with_or_without_its_effect() {
    let cluster = Cluster::start().await;
    cluster.execute("CREATE TABLE told (number INTEGER); GRANT ALL ON told TO muster").await;
    let line = Proxy::start(cluster.port).await;
    let db = through(&line).await;
    insert(&db, 1).await.unwrap();
    line.lose_commits(1, Lost::Answer);
    insert(&db, 2).await.unwrap_err();
    line.lose_commits(1, Lost::Request);
    insert(&db, 3).await.unwrap_err();
    insert(&db, 4).await.unwrap();
    assert_eq!(line.lost_commits(), 2);
    let told = cluster.rows("SELECT number FROM told ORDER BY number").await;
    assert_eq!(told.iter().map(|row| row["number"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_cut_frozen_and_refused() {
    let mut cluster = Cluster::start().await;
    let line = Proxy::start(cluster.port).await;
    let db = through(&line).await;
    let ask = || db.execute_unprepared("SELECT 1");
    ask().await.unwrap();
    line.set(Mode::Freeze);
    let mut waiting = Box::pin(ask());
    assert!(timeout(Duration::from_millis(300), &mut waiting).await.is_err());
    line.set(Mode::Pass);
    waiting.await.unwrap();
    let open = backend(&cluster).await;
    line.cut();
    // The first request may find its connection lost.
    let _either = ask().await;
    ask().await.unwrap();
    assert_ne!(backend(&cluster).await, open);
    line.set(Mode::Down);
    ask().await.unwrap_err();
    ask().await.unwrap_err();
    line.set(Mode::Pass);
    ask().await.unwrap();

    assert!(cluster.kill_backend().await);
    for how in [Stop::Kill, Stop::Immediate, Stop::Fast] {
        cluster.restart(how, Duration::ZERO).await;
    }
    assert_eq!(cluster.log().matches("database system is ready to accept connections").count(), 5);
}
