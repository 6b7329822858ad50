//! `muster backup`: a complete copy in one file, while the server runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::process::{Home, Program};
use crate::support;

pub const SLOW: [(&str, &str); 3] = [("users", "4000"), ("page_size", "50"), ("latency_ms", "20")];

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// Asserts that a command failed with one line that contains this text.
pub fn refused(output: &Output, words: &str) {
    let line = said(output);
    assert!(!output.status.success() && line.contains(words), "{words}: {line}");
    assert_eq!(line.trim_end().lines().filter(|line| line.starts_with("muster: ")).count(), 1, "{line}");
}

/// A running server with an instance that has users.
pub async fn running(home: &Home) -> (Program, String) {
    let token = home.token();
    let program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "300")]).await;
    program.client.idle(&id, "").await;
    (program, id)
}

/// A file in the folder of that home.
pub fn file(home: &Home, name: &str) -> PathBuf {
    home.dir.path().join(name)
}

/// The first column of the first row of a SQLite file.
pub async fn one(file: &Path, sql: &str) -> String {
    support::one(&muster::db::Location::sqlite(file), sql).await
}

#[tokio::test]
async fn a_backup_is_made_while_a_server_works_and_is_of_one_moment_on_sqlite() {
    let home = Home::on_sqlite();
    let (program, _) = running(&home).await;
    for name in ["B", "C", "D"] {
        program.client.rehearse(name, &SLOW).await;
    }
    for round in 0..3 {
        let to = file(&home, &format!("{round}.backup"));
        let made = home.run(&["backup", to.to_str().unwrap()]);
        assert!(made.status.success(), "{}", said(&made));
        let said = said(&made);
        let key = home.data_dir().join("secret.key");
        assert!(said.contains(" MB in ") && said.contains(key.to_str().unwrap()), "{said}");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(one(&to, "PRAGMA integrity_check").await, "ok");
        // Each page commits its users together with the run's count, so a consistent copy has equal numbers.
        let split = "SELECT CAST(COUNT(*) AS TEXT) FROM sync_run r WHERE r.added <>
            (SELECT COUNT(*) FROM user_account u WHERE u.instance_id = r.instance_id)";
        assert_eq!(one(&to, split).await, "0");
        assert_eq!(one(&to, "SELECT CAST(COUNT(*) AS TEXT) FROM instance").await, "4");
    }
    let names: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("partial")), "{names:?}");
    // No mutation failed because it had to wait.
    let failed = program.client.ask("{ syncHistory(filter: { outcomes: [FAILED] }) { totalCount } }", json!({})).await;
    assert_eq!(failed["syncHistory"]["totalCount"], 0);
}

#[tokio::test]
async fn a_backup_takes_the_place_of_nothing_on_sqlite() {
    let home = Home::on_sqlite();
    let (_program, _) = running(&home).await;
    let to = file(&home, "precious");
    fs::write(&to, "precious").unwrap();
    refused(&home.run(&["backup", to.to_str().unwrap()]), "is there already");
    assert_eq!(fs::read_to_string(&to).unwrap(), "precious");
    let nowhere = file(&home, "no/such/folder/file");
    refused(&home.run(&["backup", nowhere.to_str().unwrap()]), "no/such/folder");
    refused(&Home::on_sqlite().run(&["backup", "file"]), "there is no database here");
}

#[tokio::test]
async fn a_damaged_database_gives_no_backup_on_sqlite() {
    let home = Home::on_sqlite();
    let (program, _) = running(&home).await;
    program.kill();
    let database = home.data_dir().join("muster.db");
    checkpoint(&database).await;
    damage(&database);
    let to = file(&home, "backup");
    let made = home.run(&["backup", to.to_str().unwrap()]);
    assert!(!made.status.success(), "{}", said(&made));
    let left: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!to.exists() && left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

/// Runs statements on a SQLite file.
pub async fn sql(file: &Path, statements: &str) {
    let db = Database::connect(format!("sqlite://{}?mode=rw", file.display())).await.unwrap();
    db.execute_unprepared(statements).await.unwrap();
    db.close().await.unwrap();
}

/// Moves the contents of the write-ahead log into the file.
pub async fn checkpoint(file: &Path) {
    sql(file, "PRAGMA wal_checkpoint(TRUNCATE)").await;
}

/// Overwrites pages in the middle of a file.
pub fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let (start, end) = (bytes.len() / 4, bytes.len() * 3 / 4);
    bytes[start..end].fill(0xa5);
    fs::write(file, bytes).unwrap();
}
