//! What a start says about the SQLite file that it finds, or does not find.

use std::fs;
use std::time::Duration;

use super::settings::refusal;
use super::{Home, Program};
use crate::maintenance::backup::checkpoint;
use crate::support::DEADLINE;

/// Waits until the log says something.
async fn until_log(home: &Home, words: &str) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !home.log().contains(words) {
        assert!(tokio::time::Instant::now() < deadline, "{words}: {}", home.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stop(mut program: Program) {
    program.terminate();
    program.ended(DEADLINE).await;
}

#[tokio::test]
async fn a_database_that_is_gone_beside_its_key_is_warned_of() {
    let home = Home::on_sqlite();
    let token = home.token();
    let program = home.serve(&token).await;
    program.client.rehearse("Acme", &[]).await;
    stop(program).await;
    assert!(!home.log().contains("EMPTY"), "{}", home.log());
    fs::remove_file(home.data_dir().join("muster.db")).unwrap();
    let _program = home.serve(&token).await;
    let log = home.log();
    assert!(log.contains("muster.db does not exist, but a secret key") && log.contains("EMPTY database"), "{log}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_what_to_do() {
    let home = Home::on_sqlite();
    home.token();
    let database = home.data_dir().join("muster.db");
    fs::write(&database, vec![0xa5; 8192]).unwrap();
    let line = refusal(&home, &["serve"]);
    assert!(line.contains("damaged") && line.contains("muster doctor") && line.contains("restore a backup"), "{line}");
}

#[tokio::test]
async fn after_a_crash_the_whole_file_is_checked_in_the_background() {
    let home = Home::on_sqlite();
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "3000")]).await;
    program.client.idle(&id, "").await;
    stop(program).await;
    home.serve(&token).await.kill();
    assert!(!home.log().contains("checked in the background"), "the first server stopped as it should: {}", home.log());
    let program = home.serve(&token).await;
    until_log(&home, "the database file is intact").await;
    program.kill();

    let database = home.data_dir().join("muster.db");
    checkpoint(&database).await;
    // The last pages are of users or their indexes, which a start does not read.
    let mut bytes = fs::read(&database).unwrap();
    let end = bytes.len();
    bytes[end - 8 * 4096..end - 4096].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let program = home.serve(&token).await;
    until_log(&home, "muster.db: is damaged: ").await;
    let status =
        program.client.ask("{ serverStatus { databaseTrouble { kind message } } }", serde_json::json!({})).await;
    assert_eq!(status["serverStatus"]["databaseTrouble"]["kind"], "DAMAGED", "{status}");
}
