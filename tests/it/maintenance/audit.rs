//! The chain of the audit log: what somebody else changes is found.

use muster::audit::seal::SealFile;
use muster::audit::verify::{Verified, verify};
use muster::clock::Clock;
use muster::maintenance::keys;
use serde_json::json;

use crate::support::{Place, Server, change};

/// A stopped server with entries.
async fn logged() -> Place {
    let server = Server::start().await;
    for number in 0..4 {
        server.done("setRecipients", json!({ "emails": [format!("a{number}@example.com")] }), "").await;
    }
    server.stop().await
}

/// What is wrong, in the database and by the seal.
async fn wrong(place: &Place) -> Vec<String> {
    let db = place.open().await;
    let ring = keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    let mut found = verify(db.read(), Some(&ring)).await.unwrap().breaks;
    found.extend(SealFile::new(place.path(), ring).compare(db.read()).await.unwrap());
    db.close().await.unwrap();
    found
}

async fn tampered(statements: &[&str]) -> Vec<String> {
    let place = logged().await;
    assert_eq!(wrong(&place).await, [""; 0]);
    let db = place.open().await;
    for statement in statements {
        change(&db, statement).await;
    }
    db.close().await.unwrap();
    wrong(&place).await
}

#[tokio::test]
async fn an_entry_that_is_changed_removed_or_added_is_found() {
    for (statement, told) in [
        ("UPDATE audit_entry SET actor = 'somebody else'", "entry 1 was changed"),
        ("UPDATE audit_entry SET at = at + 1 WHERE id = 2", "entry 2 was changed"),
        ("UPDATE audit_entry SET outcome = 'failed' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit_person SET actor_name = 'eve' WHERE entry_id = 2", "the name or the address in entry 2"),
        ("DELETE FROM audit_entry WHERE id = 1", "1 entries are missing before entry 2"),
        ("DELETE FROM audit_entry WHERE id = 3", "1 entries are missing before entry 4"),
        ("DELETE FROM audit_entry WHERE id = 4", "the log ends with entry 3, and its newest entry was 4"),
        (
            "INSERT INTO audit_entry (id, at, actor, action, detail) VALUES (9, 0, 'ada', 'recipients_set', '')",
            "entry 9",
        ),
        ("UPDATE audit_chain SET last_id = 3", "is not as Muster wrote it"),
        ("UPDATE audit_chain SET signature = NULL, last_hash = NULL, anchor_id = 4", "no record says so"),
    ] {
        let found = tampered(&[statement]).await;
        assert!(found.iter().any(|line| line.contains(told)), "{statement}: {found:?}");
    }
}

#[tokio::test]
async fn names_can_be_erased_and_old_entries_pruned_without_a_break() {
    let place = logged().await;
    let db = place.open().await;
    let ring = keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    change(&db, "DELETE FROM audit_person WHERE entry_id = 2").await;
    let found = verify(db.read(), Some(&ring)).await.unwrap();
    assert_eq!(found, Verified { chained: 4, erased: 1, ..Verified::default() });
    let end = Clock::System.now() + 1_000;
    let pruned = db.write(|tx| async move { muster::audit::prune(&tx, end, 3).await }).await.unwrap();
    assert_eq!(pruned, 3);
    assert_eq!(verify(db.read(), Some(&ring)).await.unwrap(), Verified { chained: 1, ..Verified::default() });
    assert_eq!(db.write(|tx| async move { muster::audit::prune(&tx, end, 3).await }).await.unwrap(), 1);
    db.close().await.unwrap();
    let server = Server::builder().place(place).start().await;
    server.done("setRecipients", json!({ "emails": [] }), "").await;
    assert_eq!(wrong(&server.stop().await).await, [""; 0]);
}

#[tokio::test]
async fn an_end_that_is_cut_off_is_found_by_the_seal_even_after_the_log_went_on() {
    let place = logged().await;
    let db = place.open().await;
    change(&db, "CREATE TABLE kept AS SELECT * FROM audit_chain").await;
    db.close().await.unwrap();
    let server = Server::builder().place(place).start().await;
    for _ in 0..2 {
        server.done("setRecipients", json!({ "emails": [] }), "").await;
    }
    let place = server.stop().await;
    // The older log is put back, with its own signed end.
    let db = place.open().await;
    for back in [
        "DELETE FROM audit_entry WHERE id > 4",
        "DELETE FROM audit_person WHERE entry_id > 4",
        "DELETE FROM audit_chain",
        "INSERT INTO audit_chain SELECT * FROM kept",
    ] {
        change(&db, back).await;
    }
    db.close().await.unwrap();
    let found = wrong(&place).await;
    assert!(found.len() == 1 && found[0].contains("entry 6 was sealed"), "{found:?}");

    let server = Server::builder().place(place).start().await;
    for _ in 0..3 {
        server.done("setRecipients", json!({ "emails": [] }), "").await;
    }
    let place = server.stop().await;
    let found = wrong(&place).await;
    assert!(found.len() == 1 && found[0].contains("entry 6 is not the one that was sealed"), "{found:?}");
}

#[tokio::test]
async fn a_log_that_was_changed_goes_on_and_says_from_where() {
    let place = logged().await;
    let db = place.open().await;
    change(&db, "DELETE FROM audit_entry WHERE id = 4").await;
    db.close().await.unwrap();
    let server = Server::builder().place(place).start().await;
    server.done("setRecipients", json!({ "emails": [] }), "").await;
    let place = server.stop().await;
    let found = wrong(&place).await;
    assert!(found.iter().any(|line| line.contains("before entry 5 was appended")), "{found:?}");

    let db = place.open().await;
    let ring = keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    db.write(|tx| async move { muster::audit::chain::accept(&tx, true).await }).await.unwrap();
    SealFile::new(place.path(), ring).replace(&db, Clock::System.now()).await.unwrap();
    db.close().await.unwrap();
    assert_eq!(wrong(&place).await, [""; 0]);
}
