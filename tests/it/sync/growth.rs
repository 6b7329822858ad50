//! The growth guard: a list that is far longer than before is not believed at once.

use integration::user::{SourceUser, UserStatus};
use muster::sync::reconcile::{self, Scope};
use sea_orm::EntityTrait;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Place, Server};

const RUN: &str = "outcome seen added failure { class message }";
const PEOPLE: [(&str, &str); 2] = [("users", "5000"), ("page_size", "500")];

#[tokio::test]
async fn a_list_that_is_far_longer_adds_nobody_until_somebody_accepts_it() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "100")]).await;
    server.idle(&id, "").await;
    server.configure(&id, &PEOPLE).await;
    for _ in 0..2 {
        let run = server.sync(&id, RUN).await;
        // It is certain after the third of ten pages.
        assert_eq!((&run["outcome"], &run["seen"], &run["added"]), (&json!("FAILED"), &json!(1_500), &json!(0)));
        assert_eq!(run["failure"]["class"], "GROWTH_GUARD");
        assert!(run["failure"]["message"].as_str().unwrap().contains("this instance had 100"), "{run}");
        let now = server
            .instance(&id, "status health userCount users { totalCount } notice { remedies { mutation } } lastSync { changes { totalCount } }")
            .await;
        assert_eq!((&now["status"], &now["health"]), (&json!("LIVE"), &json!("FAILING")));
        assert_eq!((&now["userCount"], &now["users"]["totalCount"]), (&json!(100), &json!(100)));
        assert_eq!(now["lastSync"]["changes"]["totalCount"], 0);
        assert_eq!(now["notice"]["remedies"], json!([{ "mutation": null }, { "mutation": "syncInstance" }]));
    }
    server.done("syncInstance", json!({ "id": id, "acceptGrowth": true }), "").await;
    let now = server.idle(&id, &format!("userCount lastSync {{ {RUN} }}")).await;
    let run = json!({ "outcome": "SUCCEEDED", "seen": 5_000, "added": 4_900, "failure": null });
    assert_eq!((&now["userCount"], &now["lastSync"]), (&json!(5_000), &run));
    let log = server.ask("{ auditLog(first: 1) { nodes { action } } }", json!({})).await;
    assert_eq!(log["auditLog"]["nodes"][0]["action"], "GROWTH_ACCEPTED");
}

#[tokio::test]
async fn the_guard_does_not_look_at_a_list_that_can_be_compared_with_none() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "transient,success"), PEOPLE[0], PEOPLE[1]]).await;
    server.idle(&id, "").await;
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "SUCCEEDED", "the first run failed after 500 users");
    server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    server.configure(&id, &[("outcomes", "transient,transient,transient,success")]).await;
    assert_eq!(server.sync(&id, "outcome").await["outcome"], "FAILED");
    assert_eq!(server.instance(&id, "userCount").await["userCount"], 500);
    let run = server.sync(&id, "outcome added").await;
    assert_eq!(run, json!({ "outcome": "SUCCEEDED", "added": 4_500 }), "all users had been deleted");
}

#[tokio::test]
async fn the_guard_follows_the_settings() {
    let server = Server::builder()
        .settings(|settings| {
            settings.growth_guard_factor = 2;
            settings.growth_guard_minimum = 15;
        })
        .start()
        .await;
    for (users, more, outcome) in [("10", "24", "SUCCEEDED"), ("10", "25", "FAILED"), ("20", "40", "SUCCEEDED")] {
        let id = server.rehearse(&format!("{users} and {more}"), &[("users", users)]).await;
        server.idle(&id, "").await;
        server.configure(&id, &[("users", more)]).await;
        assert_eq!(server.sync(&id, "outcome").await["outcome"], outcome, "{users} and {more}");
    }
}

#[tokio::test]
async fn an_instance_has_no_more_users_than_the_settings_allow() {
    let server = Server::builder().settings(|settings| settings.max_users_per_instance = 1_000).start().await;
    let id = server.rehearse("Acme", &[("users", "100"), ("page_size", "100")]).await;
    server.idle(&id, "").await;
    server.configure(&id, &PEOPLE).await;
    server.done("syncInstance", json!({ "id": id, "acceptGrowth": true }), "").await;
    let now = server.idle(&id, &format!("userCount users {{ totalCount }} lastSync {{ {RUN} }}")).await;
    let run = &now["lastSync"];
    assert_eq!((&run["outcome"], &run["seen"], &run["added"]), (&json!("FAILED"), &json!(1_500), &json!(0)));
    assert_eq!(run["failure"]["class"], "CONFIG");
    assert!(run["failure"]["message"].as_str().unwrap().contains("more than 1000 users"), "{run}");
    assert_eq!((&now["userCount"], &now["users"]["totalCount"]), (&json!(100), &json!(100)));

    let fits = server.rehearse("fits", &[("users", "1000"), ("page_size", "500")]).await;
    assert_eq!(server.idle(&fits, "userCount").await["userCount"], 1_000);
    let first = server.rehearse("first", &PEOPLE).await;
    assert_eq!(server.idle(&first, "userCount").await["userCount"], 0, "also in a first run");
}

fn user(id: &str, is_admin: bool) -> SourceUser {
    SourceUser {
        external_id: id.into(),
        email: None,
        display_name: None,
        status: UserStatus::Active,
        is_admin: Some(is_admin),
        mfa_enabled: None,
        licenses: None,
        last_active_at: None,
        kind: None,
        guest: None,
        created_at: None,
        aliases: None,
        source_id: None,
        employee_id: None,
        department: None,
        manager: None,
        refused: [].into(),
    }
}

#[tokio::test]
async fn those_whom_only_the_run_has_seen_are_dropped_and_all_others_stay() {
    let place = Place::new();
    let db = place.open().await;
    let instance_id = Uuid::now_v7();
    let scope = |number| Scope { instance_id, run_id: Uuid::now_v7(), number, now: number, new_baseline: false };
    let pages = [
        vec![user("changed", false), user("left", false), user("same", false)],
        vec![user("changed", false), user("same", false)],
        vec![user("changed", true), user("left", false), user("new", false), user("same", false), user("new", true)],
    ];
    let mut last = scope(0);
    for (number, page) in (1..).zip(&pages) {
        last = scope(number);
        let scope = &last;
        db.write(|tx| async move { reconcile::store(tx.conn(), scope, page).await }).await.unwrap();
        if number < 3 {
            db.write(|tx| async move { reconcile::remove_unseen(tx.conn(), scope, None).await }).await.unwrap();
        }
    }
    let scope = &last;
    let dropped = db.write(|tx| async move { reconcile::drop_added(tx.conn(), scope).await }).await.unwrap();
    assert_eq!(dropped, 1);
    let rows = entity::user::Entity::find().all(db.read()).await.unwrap();
    let mut kept: Vec<_> = rows.iter().map(|row| (row.external_id.as_str(), row.removed_at, row.is_admin)).collect();
    kept.sort_unstable();
    assert_eq!(kept, [("changed", None, Some(true)), ("left", None, Some(false)), ("same", None, Some(false))]);
    let changes = entity::user_change::Entity::find().all(db.read()).await.unwrap();
    let of_run: Vec<_> = changes.iter().filter(|change| change.run_id == scope.run_id).collect();
    assert_eq!(of_run.len(), 2, "one was changed, one came back: {of_run:?}");
}
