use muster::db::Db;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::support::Server;

const SLOW: [(&str, &str); 3] = [("users", "100"), ("page_size", "10"), ("latency_ms", "100")];
const RUN: &str =
    "lastSync { trigger outcome seen added removed failure { class message } mailDecision { kind } } userCount";

/// Changes rows as a process that was killed would have left them.
async fn leave(db: &Db, statement: &str) {
    let tx = db.begin().await.unwrap();
    tx.conn().execute_unprepared(statement).await.unwrap();
    tx.commit().await.unwrap();
}

/// A server that was stopped in the middle of a run, and the instance.
async fn stopped_in_the_middle() -> (Server, String) {
    let server = Server::start().await;
    let id = server.rehearse("Cut", &SLOW).await;
    server.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() >= Some(30)).await;
    (server, id)
}

#[tokio::test]
async fn a_run_goes_on_where_it_was_cut_and_counts_everybody_once() {
    let (server, id) = stopped_in_the_middle().await;
    let server = Server::builder().dir(server.stop().await).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "SUCCEEDED", "{found:#}");
    assert_eq!((&found["lastSync"]["seen"], &found["lastSync"]["added"]), (&json!(100), &json!(100)));
    assert_eq!(found["userCount"], 100);
    assert_eq!(found["lastSync"]["trigger"], "INITIAL");
}

#[tokio::test]
async fn a_run_that_was_cut_after_its_last_page_is_recorded_and_not_repeated() {
    let (server, id) = stopped_in_the_middle().await;
    let db = server.db.clone();
    let dir = server.stop().await;
    drop(db);
    let file = dir.path().join("muster.db");
    let db = Db::open(&file).await.unwrap();
    leave(&db, "UPDATE sync_run SET listed = 1, checkpoint = NULL; UPDATE job SET lease_until = 1").await;
    let seen = {
        let row = db.read().query_one_raw(sea_orm::Statement::from_string(
            db.read().get_database_backend(),
            "SELECT seen FROM sync_run",
        ));
        row.await.unwrap().unwrap().try_get::<i64>("", "seen").unwrap()
    };
    db.close().await.unwrap();
    let server = Server::builder().dir(dir).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "SUCCEEDED", "{found:#}");
    assert_eq!(found["lastSync"]["seen"], seen);
    assert_eq!(found["lastSync"]["mailDecision"]["kind"], "INITIAL_SYNC_SUCCEEDED");
}

#[tokio::test]
async fn a_run_that_was_taken_over_three_times_is_given_up() {
    let (server, id) = stopped_in_the_middle().await;
    let dir = server.stop().await;
    let db = Db::open(&dir.path().join("muster.db")).await.unwrap();
    leave(&db, "UPDATE job SET take_overs = 3, lease_until = 1 WHERE kind = 'sync'").await;
    db.close().await.unwrap();
    let server = Server::builder().dir(dir).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "FAILED", "{found:#}");
    assert_eq!(found["lastSync"]["failure"]["class"], "TIMEOUT");
    assert_eq!(found["lastSync"]["removed"], 0);
    assert_eq!(found["userCount"], found["lastSync"]["added"]);
}
