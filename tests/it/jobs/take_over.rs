use serde_json::json;

use crate::support::{Place, Server, change, one};

const SLOW: [(&str, &str); 3] = [("users", "100"), ("page_size", "10"), ("latency_ms", "100")];
const RUN: &str =
    "lastSync { trigger outcome seen added removed failure { class message } mailDecision { kind } } userCount";

/// Changes rows as a process that was killed would have left them.
async fn leave(place: &Place, statements: &[&str]) {
    let db = place.open().await;
    for statement in statements {
        change(&db, statement).await;
    }
    db.close().await.unwrap();
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
    let server = Server::builder().place(server.stop().await).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "SUCCEEDED", "{found:#}");
    assert_eq!((&found["lastSync"]["seen"], &found["lastSync"]["added"]), (&json!(100), &json!(100)));
    assert_eq!(found["userCount"], 100);
    assert_eq!(found["lastSync"]["trigger"], "INITIAL");
}

#[tokio::test]
async fn a_run_that_was_cut_after_its_last_page_is_recorded_and_not_repeated() {
    let (server, id) = stopped_in_the_middle().await;
    let place = server.stop().await;
    leave(&place, &["UPDATE sync_run SET listed = true, checkpoint = NULL", "UPDATE job SET lease_until = 1"]).await;
    let seen = one(&place.location(), "SELECT CAST(seen AS TEXT) FROM sync_run").await;
    let server = Server::builder().place(place).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "SUCCEEDED", "{found:#}");
    assert_eq!(found["lastSync"]["seen"].to_string(), seen);
    assert_eq!(found["lastSync"]["mailDecision"]["kind"], "INITIAL_SYNC_SUCCEEDED");
}

#[tokio::test]
async fn a_run_that_was_taken_over_three_times_is_given_up() {
    let (server, id) = stopped_in_the_middle().await;
    let place = server.stop().await;
    leave(&place, &["UPDATE job SET take_overs = 3, lease_until = 1 WHERE kind = 'sync'"]).await;
    let server = Server::builder().place(place).start().await;
    let found = server.idle(&id, RUN).await;
    assert_eq!(found["lastSync"]["outcome"], "FAILED", "{found:#}");
    assert_eq!(found["lastSync"]["failure"]["class"], "TIMEOUT");
    assert_eq!(found["lastSync"]["removed"], 0);
    assert_eq!(found["userCount"], found["lastSync"]["added"]);
}
