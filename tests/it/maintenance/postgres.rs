//! Backup and restore with PostgreSQL's own tools, as described in `docs/operations.md`.

use std::path::Path;
use std::process::{Command, Output};

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::backup::{refused, running, said};
use crate::process::Home;

/// Runs a command of PostgreSQL, from the path or from Debian's folder.
pub fn tool(name: &str, arguments: &[&str]) -> Output {
    let debian = Path::new("/usr/lib/postgresql/15/bin").join(name);
    let program = if debian.is_file() { debian } else { name.into() };
    let ended = Command::new(program).args(arguments).output().unwrap();
    assert!(ended.status.success(), "{name}: {}", said(&ended));
    ended
}

/// The statement in the manual that gives the event log a new epoch.
fn new_epoch() -> String {
    let manual = include_str!("../../../docs/operations.md");
    let start = manual.find("UPDATE installation").expect("the statement is in the manual");
    let end = manual[start..].find(['"', ';', '`']).expect("it ends");
    manual[start..start + end].to_owned()
}

#[test]
fn backup_and_restore_name_the_tools_of_postgresql_instead() {
    let home = Home::on_sqlite().set("DATABASE_URL", "postgres://somebody:hush@127.0.0.1:9/muster");
    for arguments in [&["backup", "file"][..], &["restore", "file"], &["restore", "--replace", "file"]] {
        let output = home.run(arguments);
        refused(&output, "pg_dump and pg_restore");
        assert!(said(&output).contains("docs/operations.md") && !said(&output).contains("hush"), "{}", said(&output));
    }
    assert!(include_str!("../../../docs/operations.md").contains("## Back up and restore"));
}

#[tokio::test]
async fn a_dump_that_is_put_back_goes_on_and_clients_are_told_everything_anew_on_postgres() {
    let home = Home::new();
    let (program, id) = running(&home).await;
    let dump = home.dir.path().join("muster.dump");
    let url = home.database.url().unwrap().to_owned();
    tool("pg_dump", &["--format=custom", "--no-owner", "--file", dump.to_str().unwrap(), &url]);
    let input = json!({ "id": id, "name": "After the dump" });
    program.client.done("updateInstance", input, "instance { id }").await;
    let newest = program.client.instance(&id, "events(first: 1) { nodes { cursor } }").await;
    let cursor = newest["events"]["nodes"][0]["cursor"].clone();
    let token = program.client.admin.clone();
    program.kill();

    let other = Home::new();
    let other = other.set("SECRET_KEY_FILE", home.data_dir().join("secret.key").to_str().unwrap());
    let into = other.database.url().unwrap().to_owned();
    tool(
        "pg_restore",
        &["--exit-on-error", "--no-owner", "--single-transaction", "--dbname", &into, dump.to_str().unwrap()],
    );
    let db = sea_orm::Database::connect(&into).await.unwrap();
    db.execute_unprepared(&new_epoch()).await.unwrap();
    db.close().await.unwrap();

    let looked = other.run(&["doctor", "--thorough"]);
    assert!(looked.status.success(), "{}", said(&looked));
    let program = other.serve(&token).await;
    assert_eq!(program.client.sync(&id, "outcome").await["outcome"], "SUCCEEDED");
    let mut socket = program.client.acknowledged(&token).await;
    let query = format!("subscription {{ instanceStateChanged(after: {cursor}) {{ cause instance {{ name }} }} }}");
    socket.subscribe("s", &query).await;
    let first = socket.next().await["payload"]["data"]["instanceStateChanged"].clone();
    assert_eq!(first, json!({ "cause": "SNAPSHOT", "instance": { "name": "Acme" } }));
}
