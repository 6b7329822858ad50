//! Headlines, and what needs attention: what rows show, what filters find and what is counted agree.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entity::instance::{self, Health, InactiveReason, Model, Status};
use entity::run::FailureClass;
use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use muster::clock::Clock;
use muster::instance::standing::{Headline, Standing};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::connect;
use crate::subscriptions::states::{causes, receive_until};
use crate::support::Server;

const NOW: i64 = 1_900_000_000_000;
const DAY: i64 = 24 * 3_600_000;
const ALL: &str = "[LIVE, INACTIVE, DELETING, DELETED]";

/// A row for each combination of the columns that matter, and of times that are just before and just after a change.
fn rows(of: &Model) -> Vec<Model> {
    let statuses = [Status::Live, Status::Inactive, Status::Deleting, Status::Deleted];
    let reasons = [
        None,
        Some(InactiveReason::UserDeactivated),
        Some(InactiveReason::TokenInactive),
        Some(InactiveReason::InsufficientPermissions),
    ];
    let healths = [Health::Pending, Health::Ok, Health::Partial, Health::Failing];
    let failures =
        [None, Some(FailureClass::RemovalGuard), Some(FailureClass::GrowthGuard), Some(FailureClass::Transient)];
    let stale_at = NOW - 2 * 60 * 60_000;
    let successes = [0, stale_at - 1, stale_at, NOW];
    let expiries = [None, Some(NOW - 1), Some(NOW), Some(NOW + 14 * DAY), Some(NOW + 14 * DAY + 1)];
    let mut rows = Vec::new();
    for number in 0..4 * 4 * 4 * 4 * 5 {
        let pick = |places: usize, of: usize| number / places % of;
        let mut row = Model {
            id: Uuid::now_v7(),
            name: format!("row {number}"),
            name_key: format!("row {number}"),
            status: statuses[pick(1, 4)],
            inactive_reason: reasons[pick(4, 4)],
            health: healths[pick(16, 4)],
            failure_class: failures[pick(64, 4)],
            credential_expires_at: expiries[pick(256, 5)],
            last_success_at: successes[pick(7, 4)],
            inactive_since: (pick(3, 2) == 1).then_some(NOW - DAY),
            user_count: i64::try_from(pick(5, 2)).unwrap(),
            sync_interval_minutes: 60,
            next_sync_at: None,
            next_try_at: None,
            ..of.clone()
        };
        if number % 11 == 0 {
            row.sync_interval_minutes = 40_000;
        }
        rows.push(row);
    }
    rows
}

/// The names of the instances that match.
async fn found(server: &Server, filter: &str) -> BTreeSet<String> {
    let (mut names, mut after) = (BTreeSet::new(), Value::Null);
    loop {
        let query = format!(
            "{{ instances(first: 100, after: {after}, filter: {{ statuses: {ALL} {filter} }}) {{
                pageInfo {{ hasNextPage endCursor }} nodes {{ name }} }} }}"
        );
        let page = server.ask(&query, json!({})).await["instances"].take();
        names.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            return names;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn names(models: &[Model], wanted: impl Fn(&Standing, &Model) -> bool, now: i64) -> BTreeSet<String> {
    let matching = models.iter().filter(|model| wanted(&Standing::of(model, now), model));
    matching.map(|model| model.name.clone()).collect()
}

/// Compares what statements find and count with what is computed of each row.
async fn assert_agreement(server: &Server, models: &[Model], now: i64) {
    for headline in Headline::all() {
        let name = serde_json::to_value(headline).unwrap().as_str().unwrap().to_uppercase();
        let wanted = names(models, |standing, _| standing.headline == headline, now);
        assert!(!wanted.is_empty(), "{name}");
        assert_eq!(found(server, &format!("headlines: [{name}]")).await, wanted, "{name}");
    }
    for is in [true, false] {
        let stale = names(models, |standing, _| standing.stale == is, now);
        assert_eq!(found(server, &format!("stale: {is}")).await, stale, "stale: {is}");
        let attention = names(models, |standing, _| standing.needs_attention == is, now);
        assert_eq!(found(server, &format!("needsAttention: {is}")).await, attention, "needsAttention: {is}");
    }
    let query = format!(
        "{{ instanceCounts(filter: {{ statuses: {ALL} }}) {{ total stale needsAttention byHeadline {{ headline count }} }} }}"
    );
    // The second answer may be a kept one.
    for _ in 0..2 {
        let counts = server.ask(&query, json!({})).await["instanceCounts"].take();
        let count = |wanted: &dyn Fn(&Standing) -> bool| names(models, |standing, _| wanted(standing), now).len();
        assert_eq!(counts["total"], models.len());
        assert_eq!(counts["stale"], count(&|standing| standing.stale));
        assert_eq!(counts["needsAttention"], count(&|standing| standing.needs_attention));
        for (headline, counted) in Headline::all().zip(counts["byHeadline"].as_array().unwrap()) {
            assert_eq!(counted["count"], count(&|standing| standing.headline == headline), "{counted}");
        }
    }
}

#[tokio::test]
async fn rows_filters_and_counts_agree_on_every_headline() {
    let time = Arc::new(AtomicI64::new(NOW));
    let server = Server::builder().clock(Clock::Manual(time.clone())).start().await;
    let id = server.rehearse("Acme", &[("users", "0")]).await;
    server.idle(&id, "").await;
    let place = server.stop().await;
    let db = connect(&place.location()).await;
    let of = instance::Entity::find().one(&db).await.unwrap().unwrap();
    for rows in rows(&of).chunks(100) {
        let rows = rows.iter().map(|row| row.clone().into_active_model().reset_all());
        instance::Entity::insert_many(rows).exec_without_returning(&db).await.unwrap();
    }
    let server = Server::builder().clock(Clock::Manual(time.clone())).place(place).start().await;
    let models = instance::Entity::find().all(&db).await.unwrap();
    for _ in 0..2 {
        let now = time.load(Ordering::Relaxed);
        assert_agreement(&server, &models, now).await;
        let noticed = server
            .ask(
                "{ instances(first: 100) { nodes { name status health userCount needsAttention notice { title } } } }",
                json!({}),
            )
            .await;
        for node in noticed["instances"]["nodes"].as_array().unwrap() {
            // The run of all rows has listed nobody, which is no matter for those that report somebody.
            let nobody = node["notice"]["title"] == "The application lists nobody";
            let possible = !nobody || node["health"] == "OK" && node["userCount"] == 0;
            let told = node["status"] == "LIVE" && !node["notice"].is_null() && possible;
            assert!(!told || node["needsAttention"] == true, "a live instance with a notice: {node}");
        }
        // Some become stale in this millisecond, and the end of a credential comes near.
        time.fetch_add(1, Ordering::Relaxed);
    }
    db.close().await.unwrap();
}

const COUNTS: &str = "total byHeadline { headline count }";

fn of(counts: &Value, headline: &str) -> i64 {
    let all = counts["byHeadline"].as_array().unwrap();
    all.iter().find(|one| one["headline"] == headline).unwrap()["count"].as_i64().unwrap()
}

#[tokio::test]
async fn counts_are_those_of_a_filter_of_an_integration_and_of_what_a_token_sees() {
    let server = Server::start().await;
    for (name, outcomes) in [("a", "success"), ("b", "success,transient"), ("c", "token_inactive"), ("d", "partial")] {
        let id = server.rehearse(name, &[("outcomes", outcomes)]).await;
        server.idle(&id, "").await;
        if name == "b" {
            server.sync(&id, "id").await;
        }
    }
    let everything = format!(
        "{{ instanceCounts {{ {COUNTS} }} some: instanceCounts(filter: {{ search: \"a\" }}) {{ {COUNTS} }}
            integrations(first: 100) {{ nodes {{ key instanceCounts {{ {COUNTS} }} }} }} }}"
    );
    let answer = server.ask(&everything, json!({})).await;
    let counts = &answer["instanceCounts"];
    let each = ["HEALTHY", "FAILING", "REVOKED", "PARTIAL", "HELD"].map(|headline| of(counts, headline));
    assert_eq!((counts["total"].clone(), each), (json!(4), [1, 1, 1, 1, 0]), "{counts}");
    assert_eq!((answer["some"]["total"].clone(), of(&answer["some"], "HEALTHY")), (json!(1), 1));
    for integration in answer["integrations"]["nodes"].as_array().unwrap() {
        let total = if integration["key"] == "rehearsal" { 4 } else { 0 };
        assert_eq!(integration["instanceCounts"]["total"], total, "{integration}");
    }
    let scope = Scope { integrations: ["scim".to_owned()].into(), ..Scope::default() };
    let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Reports) };
    let limited = server.tokens.create(limited).await.unwrap().text;
    let answer = server.ask_as(&limited, &everything, json!({})).await["data"].take();
    assert_eq!(answer["instanceCounts"]["total"], 0);
    assert!(answer["integrations"]["nodes"].as_array().unwrap().iter().all(|it| it["instanceCounts"]["total"] == 0));
}

#[tokio::test]
async fn a_subscriber_to_what_needs_attention_hears_of_an_instance_that_recovers() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("outcomes", "success,empty,transient,success")]).await;
    server.rehearse("Other", &[]).await;
    server.idle(&id, "").await;
    let mut socket = server.acknowledged(&server.viewer).await;
    let fields = "cause instance { name headline needsAttention }";
    for (name, filter) in [("held", "headlines: [HELD]"), ("attention", "needsAttention: true")] {
        let query = format!("subscription {{ instanceStateChanged(filter: {{ {filter} }}) {{ {fields} }} }}");
        socket.subscribe(name, &query).await;
    }
    for _ in 0..3 {
        server.sync(&id, "id").await;
    }
    let held = receive_until(&mut socket, "held", |event| event["instance"]["headline"] == "FAILING").await;
    assert!(held.iter().all(|event| event["instance"]["name"] == "Acme"), "{held:?}");
    assert_eq!(causes(&held).last(), Some(&"SYNC_FAILED"), "it leaves the headline when it fails otherwise");
    let all = receive_until(&mut socket, "attention", |event| event["cause"] == "SYNC_SUCCEEDED").await;
    assert_eq!(all.last().unwrap()["instance"]["needsAttention"], false);
}
