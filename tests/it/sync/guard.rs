//! The removal guard: if a complete list lacks many users, they are not removed without acceptance.

use serde_json::json;

use crate::support::Server;

const RUN: &str = "outcome removed failure { class message } mailDecision { kind }";

#[tokio::test]
async fn a_list_that_lacks_many_users_removes_nobody_until_somebody_accepts_it() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,empty")]).await;
    server.idle(&id, "").await;
    for mail in [json!("SYNC_FAILED"), json!(null)] {
        let run = server.sync(&id, RUN).await;
        assert_eq!(
            (&run["outcome"], &run["removed"], &run["mailDecision"]["kind"]),
            (&json!("FAILED"), &json!(0), &mail)
        );
        assert_eq!(run["failure"]["class"], "REMOVAL_GUARD");
        assert!(run["failure"]["message"].as_str().unwrap().contains("100 of 100"), "{run}");
        let now = server
            .instance(&id, "status health headline needsAttention userCount notice { severity remedies { mutation } }")
            .await;
        assert_eq!(
            (&now["status"], &now["health"], &now["userCount"]),
            (&json!("LIVE"), &json!("FAILING"), &json!(100))
        );
        assert_eq!((&now["headline"], &now["needsAttention"]), (&json!("HELD"), &json!(true)));
        assert_eq!(now["notice"]["remedies"], json!([{ "mutation": null }, { "mutation": "syncInstance" }]));
    }
    assert_eq!(server.people(&id).await.len(), 100);
    let leavers = "syncHistory(first: 3) { nodes { wouldRemove(first: 30) { totalCount pageInfo { hasNextPage } nodes { email } } } }";
    let held = server.instance(&id, leavers).await;
    let held: Vec<_> = held["syncHistory"]["nodes"].as_array().unwrap().iter().map(|run| &run["wouldRemove"]).collect();
    assert_eq!((&held[0]["totalCount"], &held[0]["pageInfo"]["hasNextPage"]), (&json!(100), &json!(true)));
    assert_eq!(held[0]["nodes"].as_array().unwrap().len(), 30);
    assert!(held[1].is_null() && held[2].is_null(), "only of the last run");
    server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "").await;
    let now = server.idle(&id, &format!("health userCount lastSync {{ {RUN} }}")).await;
    assert!(server.instance(&id, "lastSync { wouldRemove { totalCount } }").await["lastSync"]["wouldRemove"].is_null());
    let wanted = json!({ "outcome": "SUCCEEDED", "removed": 100, "failure": null, "mailDecision": { "kind": "SYNC_RECOVERED" } });
    assert_eq!((&now["health"], &now["userCount"], &now["lastSync"]), (&json!("OK"), &json!(0), &wanted));
}

#[tokio::test]
async fn the_guard_holds_more_than_a_fifth_and_ten_at_least_or_everybody() {
    let server = Server::start().await;
    for (name, users, churn, outcome) in [
        ("a fifth", "100", "20", "SUCCEEDED"),
        ("more than a fifth", "100", "21", "FAILED"),
        ("eight of nine", "9", "90", "SUCCEEDED"),
        ("nine of nine", "9", "100", "FAILED"),
        ("one of one", "1", "100", "FAILED"),
    ] {
        let id = server.rehearse(name, &[("users", users), ("churn_percent", churn)]).await;
        server.idle(&id, "").await;
        assert_eq!(server.sync(&id, "outcome").await["outcome"], outcome, "{name}");
    }
}

#[tokio::test]
async fn a_list_that_is_empty_now_is_held_at_any_size() {
    let server = Server::start().await;
    for users in ["1", "3"] {
        let id = server.rehearse(users, &[("users", users), ("outcomes", "success,empty")]).await;
        server.idle(&id, "").await;
        let run = server.sync(&id, RUN).await;
        assert_eq!((&run["failure"]["class"], &run["removed"]), (&json!("REMOVAL_GUARD"), &json!(0)));
    }
}

#[tokio::test]
async fn a_first_list_of_nobody_is_said() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "0")]).await;
    let said = "health notice { title severity } lastSync { outcome failure { class } remark }";
    let now = server.idle(&id, said).await;
    assert_eq!((&now["health"], &now["lastSync"]["outcome"]), (&json!("OK"), &json!("SUCCEEDED")));
    assert!(now["lastSync"]["remark"].as_str().unwrap().contains("listed nobody"), "{now}");
    assert_eq!(now["notice"], json!({ "title": "The application lists nobody", "severity": "WARNING" }));
    server.configure(&id, &[("users", "2")]).await;
    server.sync(&id, "id").await;
    let now = server.idle(&id, said).await;
    assert_eq!((&now["notice"], &now["lastSync"]["remark"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn the_guard_follows_the_settings() {
    let server = Server::builder()
        .settings(|settings| {
            settings.removal_guard_percent = 50;
            settings.removal_guard_minimum = 3;
        })
        .start()
        .await;
    for (name, churn, outcome) in [("half", "50", "SUCCEEDED"), ("more", "60", "FAILED")] {
        let id = server.rehearse(name, &[("users", "10"), ("churn_percent", churn)]).await;
        server.idle(&id, "").await;
        assert_eq!(server.sync(&id, "outcome").await["outcome"], outcome, "{name}");
    }
}

#[tokio::test]
async fn a_held_run_keeps_those_who_joined() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "20"), ("churn_percent", "50")]).await;
    server.idle(&id, "").await;
    let run = server.sync(&id, "outcome added removed").await;
    assert_eq!(run, json!({ "outcome": "FAILED", "added": 10, "removed": 0 }));
    assert_eq!(server.instance(&id, "userCount").await["userCount"], 30);
    assert_eq!(server.people(&id).await.len(), 30);
}

#[tokio::test]
async fn a_held_removal_is_held_in_every_run_until_somebody_accepts_it() {
    let server = Server::start().await;
    // The first list, then another one that does not change any more.
    for (name, first, users, page_size, churns, held) in [
        ("some", "success", ["100", "88"], "100", ["25", "13"], "22 of 100"),
        ("everybody", "success", ["8", "8"], "100", ["100", "50"], "8 of 8"),
        ("after a first run that failed", "transient,success", ["100", "48"], "50", ["25", "13"], "12 of 50"),
    ] {
        let id = server.rehearse(name, &[("users", users[0]), ("page_size", page_size), ("outcomes", first)]).await;
        server.idle(&id, "").await;
        for churn in churns {
            server.configure(&id, &[("users", users[1]), ("churn_percent", churn)]).await;
            let run = server.sync(&id, RUN).await;
            assert_eq!(
                (&run["failure"]["class"], &run["removed"]),
                (&json!("REMOVAL_GUARD"), &json!(0)),
                "{name}: {run}"
            );
            assert!(run["failure"]["message"].as_str().unwrap().contains(held), "{name}: {run}");
        }
    }
}

#[tokio::test]
async fn the_guard_does_not_look_at_the_first_complete_run() {
    let server = Server::start().await;
    let config = [("users", "40"), ("page_size", "20"), ("outcomes", "hang,empty")];
    let id = server.rehearse("Acme", &config).await;
    server.until(&id, "currentSync { seen }", |now| now["currentSync"]["seen"] == 20).await;
    server.done("cancelSync", json!({ "instanceId": id }), "").await;
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["removed"]), (&json!("SUCCEEDED"), &json!(20)));
    assert_eq!(run["mailDecision"]["kind"], "INITIAL_SYNC_SUCCEEDED");
    assert_eq!(server.instance(&id, "userCount").await["userCount"], 0);
}

#[tokio::test]
async fn removals_may_be_accepted_while_the_run_is_under_way() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,empty")]).await;
    server.idle(&id, "").await;
    server.configure(&id, &[("latency_ms", "500")]).await;
    let run = server.done("syncInstance", json!({ "id": id }), "run { id }").await["run"].take();
    let accepted = server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "run { id }").await;
    assert_eq!(accepted["run"], run, "there is one active run");
    let now = server.idle(&id, "lastSync { outcome removed }").await;
    assert_eq!(now["lastSync"], json!({ "outcome": "SUCCEEDED", "removed": 100 }));
}
