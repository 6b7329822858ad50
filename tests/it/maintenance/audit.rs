//! The chain of the audit log: what somebody else changes is found.

use entity::audit_entry::{self, Action};
use muster::audit::seal::SealFile;
use muster::audit::verify::{Verified, verify};
use muster::audit::{Accepted, Entry, accept, chain, erase, record};
use muster::clock::Clock;
use muster::db::Db;
use muster::maintenance::keys;
use sea_orm::EntityTrait;
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
        ("UPDATE audit_chain SET signature = NULL, last_hash = NULL, anchor_id = 4", "is not as Muster wrote it"),
        (
            "INSERT INTO audit_entry (id, at, actor, action, detail) VALUES (-5, 0, 'ada', 'recipients_set', '')",
            "entry -5 was not written by Muster",
        ),
        ("DELETE FROM audit_chain", "is not as Muster wrote it"),
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
    let accepted = db.write(|tx| async move { accept(&tx).await }).await.unwrap();
    assert!(accepted.breaks > 0, "{accepted:?}");
    SealFile::new(place.path(), ring).replace(&db, Clock::System.now()).await.unwrap();
    let again = db.write(|tx| async move { accept(&tx).await }).await.unwrap();
    assert_eq!(again, Accepted::default(), "what is whole stays proved");
    db.close().await.unwrap();
    assert_eq!(wrong(&place).await, [""; 0]);
}

/// A log that somebody has changed, and that Muster has continued.
async fn continued(statements: &[&str]) -> Place {
    let place = logged().await;
    let db = place.open().await;
    keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    for statement in statements {
        change(&db, statement).await;
    }
    for _ in 0..3 {
        append(&db).await;
    }
    db.close().await.unwrap();
    place
}

async fn append(db: &Db) {
    let entry = &Entry::new(Clock::System.now(), Action::RecipientsSet, "Set.");
    let append = db.write(|tx| async move {
        record(&tx, entry.clone());
        Ok(())
    });
    append.await.unwrap();
}

#[tokio::test]
async fn a_change_is_still_found_after_the_log_went_on_and_a_person_can_accept_it() {
    const INSERT: &str = "INSERT INTO audit_entry (id, at, actor, action, detail) VALUES";
    let (last, next) = (
        format!("{INSERT} ({}, 0, 'eve', 'recipients_set', '')", i64::MAX),
        format!("{INSERT} (6, 0, 'eve', 'recipients_set', '')"),
    );
    let wiped = ["DELETE FROM audit_entry", "DELETE FROM audit_person", "DELETE FROM audit_chain"];
    for (statements, told) in [
        (
            &[
                "UPDATE audit_chain SET signature = NULL, last_hash = NULL, anchor_hash = NULL, anchor_id = last_id",
                "DELETE FROM audit_entry WHERE id < 3",
            ][..],
            "before entry 5 was appended",
        ),
        (&["DELETE FROM audit_chain"], "before entry 5 was appended"),
        (&["UPDATE audit_chain SET last_id = 9223372036854775807, last_at = 9223372036854775807"], "before entry 5"),
        (&[last.as_str()], "entry 9223372036854775807 was not written by Muster"),
        (&[next.as_str()], "entry 6 was not written by Muster"),
        (&wiped, "before entry 1 was appended"),
    ] {
        let place = continued(statements).await;
        let found = wrong(&place).await;
        assert!(found.iter().any(|line| line.contains(told)), "{statements:?}: {found:?}");
        let db = place.open().await;
        let ring = keys::open(&db, &place.path().join("secret.key")).await.unwrap();
        let accepted = db.write(|tx| async move { accept(&tx).await }).await.unwrap();
        assert!(accepted.breaks > 0, "{statements:?}: {accepted:?}");
        SealFile::new(place.path(), ring).replace(&db, Clock::System.now()).await.unwrap();
        append(&db).await;
        db.close().await.unwrap();
        assert_eq!(wrong(&place).await, [""; 0], "{statements:?}");
    }
}

#[tokio::test]
async fn what_somebody_has_put_beside_the_log_keeps_nothing_from_being_recorded() {
    let person = "INSERT INTO audit_person (entry_id, key, actor_name) SELECT 5, key, 'eve' FROM audit_person WHERE entry_id = 1";
    assert_eq!(wrong(&continued(&[person]).await).await, [""; 0]);
}

#[tokio::test]
async fn entries_that_somebody_has_made_old_are_not_removed() {
    let place = logged().await;
    let db = place.open().await;
    keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    change(&db, "UPDATE audit_entry SET at = 0 WHERE id <= 3").await;
    let end = Clock::System.now() - 86_400_000;
    assert_eq!(db.write(|tx| async move { muster::audit::prune(&tx, end, 500).await }).await.unwrap(), 0);
    db.close().await.unwrap();
    let found = wrong(&place).await;
    assert!(found.iter().any(|line| line.contains("entry 1 was changed")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("before entry 5 was appended")), "{found:?}");
    assert!(!found.iter().any(|line| line.contains("missing")), "{found:?}");
}

#[tokio::test]
async fn an_entry_that_was_pruned_cannot_be_put_back() {
    let place = logged().await;
    let db = place.open().await;
    keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    change(&db, "CREATE TABLE kept AS SELECT * FROM audit_entry WHERE id = 2").await;
    let end = Clock::System.now() + 1_000;
    assert_eq!(db.write(|tx| async move { muster::audit::prune(&tx, end, 3).await }).await.unwrap(), 3);
    change(&db, "INSERT INTO audit_entry SELECT * FROM kept").await;
    db.close().await.unwrap();
    let found = wrong(&place).await;
    assert!(found.iter().any(|line| line.contains("entry 2 was not written by Muster")), "{found:?}");
}

#[tokio::test]
async fn a_seal_that_was_taken_away_is_missed() {
    let place = logged().await;
    std::fs::remove_file(place.path().join("audit.seal")).unwrap();
    let found = wrong(&place).await;
    assert!(found.len() == 1 && found[0].contains("there is no seal"), "{found:?}");
    let server = Server::builder().place(place).start().await;
    assert_eq!(wrong(&server.stop().await).await, [""; 0], "the server writes a new one");
}

#[tokio::test]
async fn names_are_erased_in_steps_and_the_log_says_whose() {
    let place = logged().await;
    let db = place.open().await;
    let ring = keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    let entry = audit_entry::Entity::find_by_id(1).one(db.read()).await.unwrap().unwrap();
    let actor = entry.actor_id.unwrap();
    assert_eq!(erase::of(&db, entry.at, actor).await.unwrap(), 4);
    let last = audit_entry::Entity::find_by_id(5).one(db.read()).await.unwrap().unwrap();
    assert_eq!((last.action(), last.subject_id), (Action::NamesErased, Some(actor)));
    let found = verify(db.read(), Some(&ring)).await.unwrap();
    assert_eq!(found.breaks, [""; 0]);
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_whole_chain_that_somebody_has_computed_anew_is_not_removed() {
    let place = logged().await;
    let db = place.open().await;
    keys::open(&db, &place.path().join("secret.key")).await.unwrap();
    let mut previous: Option<Vec<u8>> = None;
    for id in 1..=4 {
        let entry = audit_entry::Entity::find_by_id(id).one(db.read()).await.unwrap().unwrap();
        let hash = chain::hash(&audit_entry::Model { at: 0, ..entry }, previous.as_deref());
        let bytes = super::doctor::bytes(db.backend(), &hash);
        change(&db, &format!("UPDATE audit_entry SET at = 0, hash = {bytes} WHERE id = {id}")).await;
        previous = Some(hash.to_vec());
    }
    let end = Clock::System.now() - 86_400_000;
    assert_eq!(db.write(|tx| async move { muster::audit::prune(&tx, end, 500).await }).await.unwrap(), 0);
    db.close().await.unwrap();
    let found = wrong(&place).await;
    assert!(found.iter().any(|line| line.contains("entry 4 is not the one that was written last")), "{found:?}");
}
