//! A full disk under PostgreSQL.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use entity::event;
use muster::instance::event::Event;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::Ground;
use crate::chaos::on_postgres::asking::Answer;
use crate::peers::Cluster;
use crate::trouble::SmallDisk;

/// Renames until it fails, which it must when there is no room for another event.
async fn until_refused(ground: &Ground, id: &str) {
    for _ in 0..20_000 {
        // Records are compressed, so the names must be such that they cannot be.
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(180).collect();
        match ground.rename(id, &format!("{random} xxx")).await {
            Answer::Done(_) => {}
            Answer::Unavailable => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("the disk was never full");
}

async fn goes_on(ground: &mut Ground, id: &str) {
    let took = ground.recovered(id).await;
    println!("itself again after {took:.2?}");
    let large = ground.rehearse("Large", &[("users", "20000"), ("page_size", "5000")]).await;
    let found = ground.idle(&large, "userCount lastSync { outcome seen added }").await;
    assert_eq!(found["lastSync"], json!({ "outcome": "SUCCEEDED", "seen": 20000, "added": 20000 }));
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_tables_cannot_grow_mutations_fail_cleanly_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(160) else { return };
    let cluster = Cluster::start().await;
    let place = disk.path().join("tables");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, Permissions::from_mode(0o700)).unwrap();
    crate::peers::give_to_postgres(&place);
    cluster.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
    cluster.execute("GRANT CREATE ON TABLESPACE small TO muster").await;
    cluster.execute("ALTER ROLE muster SET default_tablespace = small").await;
    let mut ground = Ground::around(cluster).await.serving().await;
    let id = ground.rehearse("Acme", &[("users", "100")]).await;
    ground.idle(&id, "").await;
    let waits = ground.rehearse("Waits", &[("users", "30000"), ("page_size", "500"), ("latency_ms", "20")]).await;
    ground.until(&waits, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(500)).await;
    disk.fill();
    until_refused(&ground, &id).await;
    for _ in 0..10 {
        let Answer::Done(_) = ground.read("{ instances { nodes { name users { totalCount } } } }").await else {
            panic!("reads must go on");
        };
    }
    assert!(ground.replica.lives());
    disk.empty();
    goes_on(&mut ground, &id).await;
    let found = ground.idle(&waits, "lastSync { outcome seen added }").await;
    assert_eq!(found["lastSync"], json!({ "outcome": "SUCCEEDED", "seen": 30000, "added": 30000 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_log_of_postgresql_cannot_grow_it_goes_down_and_nothing_acknowledged_is_lost() {
    let Some(disk) = SmallDisk::mount(160) else { return };
    let options = ["min_wal_size=32MB", "max_wal_size=48MB", "wal_recycle=off"];
    let cluster = Cluster::with(&options, Some(disk.path())).await;
    let mut ground = Ground::around(cluster).await.serving().await;
    let id = ground.rehearse("Acme", &[("users", "100")]).await;
    ground.idle(&id, "").await;
    disk.fill();
    until_refused(&ground, &id).await;
    assert!(ground.replica.lives());
    assert_eq!(ground.replica.status("/healthz").await, Some(200));
    let acknowledged = ground.tally.figures().acknowledged;
    disk.empty();
    ground.cluster.bring_up().await;
    ground.recovered(&id).await;
    let figures = ground.tally.figures();
    let db = ground.cluster.connect("muster").await.unwrap();
    let updates = event::Entity::find().filter(event::Column::Cause.eq(event::Cause::Updated)).all(&db).await.unwrap();
    let names = updates.into_iter().map(|row| Event::try_from(row).unwrap().snapshot.instance.name);
    let renames = names.filter(|name| name.ends_with("xxx")).count();
    db.close().await.unwrap();
    assert_eq!(renames, acknowledged - 1, "one was the creation; {figures:?}");
    goes_on(&mut ground, &id).await;
}
