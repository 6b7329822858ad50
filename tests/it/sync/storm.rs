//! Many instances that fail at once: one mail for all, and one when they work again.

use std::time::Duration;

use entity::notification::{Column, Entity, NotificationKind, NotificationState};
use entity::run::FailureClass;
use muster::clock::Clock;
use muster::notification::compose::RenderedMail;
use muster::notification::outbox::{self, MailRequest};
use muster::notification::storm::Hold;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::peers::Smtp;
use crate::support::Server;

const HOLD: Hold = Hold { first: Duration::from_millis(500), storm: Duration::from_secs(3) };

async fn rehearsed(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let outcomes = "success,transient,success";
        ids.push(server.rehearse(&format!("instance {number}"), &[("outcomes", outcomes), ("users", "3")]).await);
    }
    for id in &ids {
        server.idle(id, "").await;
    }
    ids
}

async fn sync_all(server: &Server, ids: &[String]) {
    for id in ids {
        server.done("syncInstance", json!({ "id": id }), "").await;
    }
}

/// The mails of a kind, once none is queued and there are so many.
async fn mails(server: &Server, kind: &str, count: usize) -> Vec<Value> {
    let query = "query($kind: NotificationKind!) { notifications(first: 20, filter: { kinds: [$kind] }) {
        nodes { state subject standsFor(first: 5) { totalCount nodes { name } } instance { name } } } }";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = server.ask(query, json!({ "kind": kind })).await["notifications"]["nodes"].clone();
        let found = found.as_array().unwrap().clone();
        if found.len() == count && found.iter().all(|mail| mail["state"] != "QUEUED") {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn names(mail: &Value) -> Vec<&str> {
    let nodes = mail["standsFor"]["nodes"].as_array().unwrap();
    assert_eq!(mail["standsFor"]["totalCount"], nodes.len());
    let mut names: Vec<_> = nodes.iter().map(|instance| instance["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn many_failures_at_once_are_one_mail_and_so_are_the_recoveries() {
    let server = Server::builder().limits(|limits| limits.hold = HOLD).start().await;
    let ids = rehearsed(&server, 5).await;
    for kind in ["SYNC_FAILED", "SYNC_RECOVERED"] {
        sync_all(&server, &ids).await;
        let mails = mails(&server, kind, 5).await;
        let (sent, included): (Vec<&Value>, Vec<&Value>) = mails.iter().partition(|mail| mail["state"] == "SENT");
        assert_eq!((sent.len(), included.len()), (1, 4), "{mails:#?}");
        assert_eq!(names(sent[0]), ["instance 0", "instance 1", "instance 2", "instance 3", "instance 4"]);
        assert!(sent[0]["subject"].as_str().unwrap().starts_with("5 instances"), "{mails:#?}");
        assert!(
            included
                .iter()
                .all(|mail| mail["state"] == "INCLUDED" && names(mail) == [mail["instance"]["name"].as_str().unwrap()])
        );
    }
}

#[tokio::test]
async fn two_failures_are_two_mails() {
    let server = Server::builder().limits(|limits| limits.hold = HOLD).start().await;
    let ids = rehearsed(&server, 2).await;
    sync_all(&server, &ids).await;
    let mails = mails(&server, "SYNC_FAILED", 2).await;
    assert!(mails.iter().all(|mail| mail["state"] == "SENT" && names(mail).len() == 1), "{mails:#?}");
}

#[tokio::test]
async fn a_mail_for_many_is_kept_when_one_of_their_instances_is_deleted() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::builder()
        .limits(|limits| limits.hold = HOLD)
        .settings(move |settings| settings.smtp_url = Some(format!("smtp://{nobody}")))
        .start()
        .await;
    let ids = rehearsed(&server, 4).await;
    sync_all(&server, &ids).await;
    let query = "{ notifications(first: 100, filter: { kinds: [SYNC_FAILED], states: [QUEUED] }) {
        nodes { attempts instance { id } } } }";
    let queued = async || server.ask(query, json!({})).await["notifications"]["nodes"].clone();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let leader = loop {
        let found = queued().await;
        match found.as_array().unwrap().as_slice() {
            [leader] if leader["attempts"].as_i64() > Some(0) => break leader["instance"]["id"].clone(),
            _ => assert!(tokio::time::Instant::now() < deadline, "{found:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    server.done("deleteInstance", json!({ "id": leader, "acknowledgeIrreversible": true }), "").await;
    assert_eq!(queued().await.as_array().unwrap().len(), 1, "it reports the other three as well");
}

#[tokio::test]
async fn a_recovery_comes_after_its_failure_and_answers_the_mail_that_was_sent() {
    let smtp = Smtp::start();
    let url = smtp.url();
    let server = Server::builder()
        .limits(|limits| limits.hold = HOLD)
        .settings(move |settings| settings.smtp_url = Some(url))
        .start()
        .await;
    let ids = rehearsed(&server, 4).await;
    smtp.until(4).await;
    sync_all(&server, &ids).await;
    server.idle(&ids[2], "").await;
    server.sync(&ids[2], "id").await;

    let messages = smtp.until(6).await;
    let (failure, recovery) = (&messages[4], &messages[5]);
    let text = |message: &Value| message["text"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text(failure).contains("The syncs of 4 instances failed"), "{failure:#}");
    assert!(text(failure).contains("- Rehearsal “instance 2”"), "{failure:#}");
    assert!(text(recovery).contains("The sync of “instance 2” succeeded again"), "{recovery:#}");
    assert_eq!(recovery["in_reply_to"], failure["message_id"]);
}

#[tokio::test]
async fn the_instances_of_a_mail_are_read_in_pages_and_in_one_order() {
    let server = Server::builder().limits(|limits| limits.hold = HOLD).start().await;
    let ids = rehearsed(&server, 5).await;
    sync_all(&server, &ids).await;
    mails(&server, "SYNC_FAILED", 5).await;
    let query = "query($first: Int!, $after: String) {
        notifications(first: 1, filter: { kinds: [SYNC_FAILED], states: [SENT] }) {
            nodes { standsFor(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } } }";
    let page = async |first: u32, after: Value| -> Value {
        let found = server.ask(query, json!({ "first": first, "after": after })).await;
        found["notifications"]["nodes"][0]["standsFor"].clone()
    };
    let whole = page(5, Value::Null).await;
    assert_eq!(whole["pageInfo"]["hasNextPage"], false);
    let mut pages = Vec::new();
    let mut after = Value::Null;
    for last in [false, false, true] {
        let found = page(2, after).await;
        assert_eq!(found["pageInfo"]["hasNextPage"], !last);
        pages.extend(found["nodes"].as_array().unwrap().clone());
        after = found["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(json!(pages), whole["nodes"]);
}

#[tokio::test]
async fn a_storm_of_more_than_one_mail_can_hold_makes_another() {
    const MAILS: usize = 1_100;
    let hold = Hold { first: Duration::ZERO, storm: Duration::from_secs(5) };
    let server = Server::builder().limits(move |limits| limits.hold = hold).start().await;
    let rendered = &RenderedMail { subject: "One".into(), text: "One.".into(), html: "<p>One.</p>".into() };
    let now = Clock::System.now();
    let decided = server.db.write(|tx| async move {
        for _ in 0..MAILS {
            let request = MailRequest {
                kind: NotificationKind::SyncFailed,
                instance_id: Uuid::now_v7(),
                run_id: Uuid::now_v7(),
                host: "muster.example.org",
                now,
                reason: Some(FailureClass::Transient),
                hold_ms: 3_000,
            };
            outbox::enqueue(&tx, &request, vec!["ada@example.com".into()], rendered).await?;
        }
        Ok(())
    });
    decided.await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    let settled = loop {
        let found = Entity::find().filter(Column::Kind.eq(NotificationKind::SyncFailed));
        let found = found.all(server.db.read()).await.unwrap();
        if found.iter().all(|mail| mail.state != NotificationState::Queued) {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "some mails still wait");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let told =
        |mail: &entity::notification::Model| mail.stands_for.as_ref().map_or(1, |ids| ids.as_array().unwrap().len());
    let sent: Vec<usize> = settled.iter().filter(|mail| mail.state == NotificationState::Sent).map(told).collect();
    assert!(sent.len() <= 5 && sent.iter().sum::<usize>() == MAILS, "{sent:?}");
}
