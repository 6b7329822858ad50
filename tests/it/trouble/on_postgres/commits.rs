//! The answer to COMMIT is lost: the change is made once, and reported as made.

use serde_json::json;

use super::{Ground, done};
use crate::peers::Lost;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_whose_commit_is_not_answered_is_done_once_and_acknowledged() {
    let ground = Ground::build().await;
    let lose = |count| ground.line.lose_commits(count, Lost::Answer);
    lose(1);
    let id = ground.rehearse("Acme", &[("users", "30")]).await;
    ground.idle(&id, "").await;
    for number in 1..=10 {
        lose(1);
        let renamed = done(ground.rename(&id, &format!("no. {number}")).await);
        assert_eq!(renamed["instance"]["name"], format!("no. {number}"));
    }
    lose(1);
    done(ground.mutate("syncInstance", json!({ "id": id }), "run { id }").await);
    ground.idle(&id, "").await;
    lose(1);
    done(ground.mutate("setRecipients", json!({ "emails": ["bo@example.com"] }), "__typename").await);
    lose(1);
    let deletion = json!({ "id": id, "acknowledgeIrreversible": true });
    done(ground.mutate("deleteInstance", deletion, "instance { status }").await);
    assert!(ground.line.lost_commits() >= 14, "only {} answers were lost", ground.line.lost_commits());

    ground.until(&id, "status", |found| found["status"] == "DELETED").await;
    let causes = ground.cluster.rows("SELECT cause, count(*) FROM event GROUP BY cause ORDER BY cause").await;
    let count =
        |cause: &str| causes.iter().find(|row| row["cause"] == cause).map_or(0, |row| row["count"].as_i64().unwrap());
    for (cause, times) in [("created", 1), ("updated", 10), ("sync_queued", 1), ("deletion_started", 1), ("deleted", 1)]
    {
        assert_eq!(count(cause), times, "{cause}: {causes:?}");
    }
    assert_eq!(ground.cluster.count("SELECT count(*) FROM instance").await, 1);
    assert_eq!(ground.cluster.count("SELECT count(*) FROM sync_run").await, 2);
    for (action, times) in [
        ("instance_created", 1),
        ("instance_updated", 10),
        ("sync_requested", 1),
        ("recipients_set", 1),
        ("instance_deleted", 1),
    ] {
        assert_eq!(entries(&ground, action).await, times, "{action}");
    }
    ground.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_whose_commit_never_arrives_is_tried_again_and_done_once() {
    let ground = Ground::build().await;
    let id = ground.rehearse("Acme", &[("users", "30")]).await;
    ground.idle(&id, "").await;
    for number in 1..=10 {
        ground.line.lose_commits(1 + number % 3, Lost::Request);
        done(ground.rename(&id, &format!("no. {number}")).await);
    }
    assert!(ground.line.lost_commits() >= 10);
    assert_eq!(ground.cluster.count("SELECT count(*) FROM event WHERE cause = 'updated'").await, 10);
    assert_eq!(entries(&ground, "instance_updated").await, 10, "no change without its entry");
    ground.line.lose_commits(2, Lost::Request);
    let member = json!({ "name": "Ben", "email": "ben@example.com", "role": "VIEWER" });
    done(ground.mutate("createMember", member, "member { id }").await);
    assert_eq!(entries(&ground, "member_created").await, 1);
    ground.assert_clean();
}

/// How many entries of the audit log say that this was done.
async fn entries(ground: &Ground, action: &str) -> i64 {
    let count = format!("SELECT count(*) FROM audit_entry WHERE action = '{action}' AND outcome = 'ok'");
    ground.cluster.count(&count).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_commits_are_not_answered_do_everything_once() {
    let ground = Ground::build().await;
    let config = [("users", "400"), ("page_size", "20"), ("latency_ms", "20"), ("churn_percent", "5")];
    let id = ground.rehearse("Acme", &config).await;
    ground.idle(&id, "").await;
    for lost in [Lost::Answer, Lost::Request] {
        let run = done(ground.mutate("syncInstance", json!({ "id": id }), "run { id }").await)["run"]["id"].clone();
        let before = ground.line.lost_commits();
        ground.line.lose_commits(8, lost);
        let fields = "lastSync { id outcome seen added removed } userCount";
        let found = ground.until(&id, fields, |found| found["lastSync"]["id"] == run).await;
        let whole = json!({ "id": run, "outcome": "SUCCEEDED", "seen": 400, "added": 20, "removed": 20 });
        assert_eq!((&found["lastSync"], &found["userCount"]), (&whole, &json!(400)), "{lost:?}");
        assert_eq!(ground.line.lost_commits() - before, 8, "{lost:?}");
    }
    ground.assert_clean();
}
