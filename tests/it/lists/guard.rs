//! The guards hold a list as they hold what an application lists.

use serde_json::json;

use super::{csv_of, deliver};
use crate::support::Server;

#[tokio::test]
async fn a_list_that_lacks_many_waits_until_somebody_accepts_it_or_a_better_one_comes() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv_of(100)).await;
    server.idle(&id, "").await;
    for (count, empty) in [(10, false), (0, true)] {
        deliver(&server, &id, if empty { "mail\n".to_owned() } else { csv_of(count) }).await;
        let held =
            server.idle(&id, "headline userCount lastSync { failure { class } } lastDelivery { isWaiting }").await;
        assert_eq!((&held["headline"], &held["userCount"]), (&json!("HELD"), &json!(100)));
        assert_eq!(held["lastSync"]["failure"]["class"], "REMOVAL_GUARD");
        assert_eq!(held["lastDelivery"]["isWaiting"], true);
    }
    deliver(&server, &id, csv_of(95)).await;
    assert_eq!(
        server.idle(&id, "headline userCount").await,
        json!({ "syncState": "IDLE", "headline": "HEALTHY", "userCount": 95 })
    );

    deliver(&server, &id, csv_of(10)).await;
    server.idle(&id, "").await;
    // The same list is held by each further run.
    let again = server.sync(&id, "outcome failure { class }").await;
    assert_eq!(again, json!({ "outcome": "FAILED", "failure": { "class": "REMOVAL_GUARD" } }));
    server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "").await;
    let now = server.idle(&id, "userCount freshness { asOf } lastDelivery { deliveredAt isWaiting }").await;
    assert_eq!((&now["userCount"], &now["lastDelivery"]["isWaiting"]), (&json!(10), &json!(false)));
    assert_eq!(now["freshness"]["asOf"], now["lastDelivery"]["deliveredAt"], "the users are as they were delivered");
    let mails: Vec<_> = server
        .runs(&id, "mailDecision { kind }")
        .await
        .into_iter()
        .map(|run| run["mailDecision"]["kind"].clone())
        .collect();
    assert_eq!(
        mails,
        [
            json!("INITIAL_SYNC_SUCCEEDED"),
            json!("SYNC_FAILED"),
            json!(null),
            json!("SYNC_RECOVERED"),
            json!("SYNC_FAILED"),
            json!(null),
            json!("SYNC_RECOVERED"),
        ]
    );
}
