//! A server that is killed while lists are delivered and taken over.

use std::time::Duration;

use serde_json::json;

use super::csv_of;
use crate::process::kill::accident;
use crate::process::{Home, rounds};
use crate::support::http;

const PEOPLE: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_was_accepted_is_taken_over_and_one_that_was_not_is_gone() {
    let (rounds, mut random) = rounds("lists");
    let home = Home::new();
    let token = home.token();
    let mut program = home.serve(&token).await;
    let id = program.client.integrate("list", "Payroll", &[]).await;
    let mut count = PEOPLE;
    let mut known = 0;
    for round in 0..rounds {
        count += 1;
        let request = http().put(format!("{}/lists/{id}", program.client.url)).bearer_auth(&token);
        let request = request.header("content-type", "text/csv").body(csv_of(count));
        let sending = tokio::spawn(async move { request.send().await.is_ok_and(|response| response.status() == 202) });
        accident(&mut random, 0..1_000).await;
        program.kill();
        let accepted = sending.await.unwrap();
        home.leases_run_out().await;
        program = home.serve(&token).await;
        let fields = "userCount lastDelivery { userCount isWaiting } lastSync { outcome }";
        let now = program.client.until(&id, &format!("syncState {fields}"), |now| now["syncState"] == "IDLE").await;
        let delivered = now["lastDelivery"]["userCount"].as_u64().unwrap_or_default();
        assert!(!accepted || delivered == count as u64, "round {round}: it was accepted, and {now} is known");
        // The answer may have been lost with the server.
        if delivered == count as u64 {
            known = count;
        }
        assert_eq!(now["userCount"], json!(known), "round {round}: {now}");
        assert_ne!(now["lastDelivery"]["isWaiting"], true, "round {round}");
        home.assert_intact().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let waiting = "SELECT CAST(COUNT(*) AS text) FROM list_delivery WHERE state = 'waiting'";
    assert_eq!(home.one(waiting).await, "0");
}
