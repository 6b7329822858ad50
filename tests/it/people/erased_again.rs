//! Erased people when the database is replaced by an older one, when keys are rotated, and when the server is killed.

use std::fs;
use std::path::Path;

use muster::clock::Clock;
use muster::doctor::{Examination, examine};
use muster::maintenance::retention::Retention;
use serde_json::{Value, json};

use super::erased::{assert_gone, chat, request, staff, swept};
use super::roster::{Account, Roster, account, settled};
use crate::maintenance::backup::{checkpoint, file, said};
use crate::maintenance::postgres::tool;
use crate::process::kill::accident;
use crate::process::{Home, Program, rounds};
use crate::support::{Client, Place, Server};

/// The applications of a company, and the ids of their instances.
struct Applications {
    hr: (Roster, String),
    chat: (Roster, String),
}

impl Applications {
    async fn connect(client: &Client, hr: Vec<Account>, chat: Vec<Account>) -> Self {
        let connected = async |name: &str, accounts: Vec<Account>| {
            let roster = Roster::start(accounts).await;
            let id = client.integrate("scim", name, &roster.config()).await;
            client.idle(&id, "").await;
            (roster, id)
        };
        let found = Self { hr: connected("HR", hr).await, chat: connected("Chat", chat).await };
        client.done("setOwnedDomains", json!({ "owned": ["acme.example"] }), "").await;
        let sources = json!({ "sources": [{ "instanceId": found.hr.1, "rank": 1 }] });
        client.done("setPeopleSources", sources, "").await;
        settled(client).await;
        found
    }

    async fn sync(&self, client: &Client) {
        for (_, id) in [&self.hr, &self.chat] {
            assert_eq!(client.sync(id, "outcome failure { message }").await["outcome"], "SUCCEEDED");
        }
        settled(client).await;
    }
}

async fn person(client: &Client, name: &str) -> Option<String> {
    let query = "query($name: String!) { persons(first: 9, filter: { search: $name }) { nodes { id displayName } } }";
    let found = client.ask(query, json!({ "name": name })).await;
    let people = found["persons"]["nodes"].as_array().unwrap().clone();
    let own = people.iter().find(|person| person["displayName"] == name)?;
    Some(own["id"].as_str().unwrap().to_owned())
}

fn done(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn noted(data_dir: &Path) -> Vec<Value> {
    let Ok(text) = fs::read_to_string(data_dir.join("erasures.json")) else { return Vec::new() };
    let ledger: Value = serde_json::from_str(&text).unwrap();
    ledger["erasures"].as_array().unwrap().clone()
}

async fn count(home: &Home, table: &str) -> String {
    home.one(&format!("SELECT CAST(count(*) AS VARCHAR(9)) FROM {table}")).await
}

async fn running(home: &Home) -> (Program, Applications) {
    let token = home.token();
    let program = home.serve(&token).await;
    let applications = Applications::connect(&program.client, staff(), chat()).await;
    (program, applications)
}

/// Erases her, after a member has said that a further account is hers.
async fn erase(client: &Client) {
    let zelda = person(client, "Zelda Quist").await.expect("she is known");
    let found =
        client.ask(r#"{ users(first: 9, filter: { search: "nick" }) { nodes { id externalId } } }"#, json!({})).await;
    assert_eq!(found["users"]["nodes"][0]["externalId"], "nick");
    let link = json!({ "userId": found["users"]["nodes"][0]["id"], "personId": zelda });
    client.done("linkAccount", link, "user { id }").await;
    client.done("erasePerson", request(&zelda), "accounts").await;
}

#[tokio::test]
async fn a_backup_from_before_is_restored_without_the_person_on_sqlite() {
    let home = Home::on_sqlite().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, applications) = running(&home).await;
    let backup = file(&home, "backup");
    done(&home, &["backup", backup.to_str().unwrap()]);
    erase(&program.client).await;
    let token = program.client.admin.clone();
    program.kill();
    let words = done(&home, &["restore", "--replace", backup.to_str().unwrap()]);
    assert!(words.contains("People who were erased after the backup was made are erased again: 1."), "{words}");
    let program = home.serve(&token).await;
    settled(&program.client).await;
    swept(&home.location()).await;
    assert_gone(&home.location()).await;
    applications.sync(&program.client).await;
    assert_gone(&home.location()).await;
    assert_eq!((count(&home, "erasure").await, noted(&home.data_dir()).len()), ("1".to_owned(), 1));
    done(&home, &["doctor"]);
    program.kill();

    // Without a ledger, nobody knows of it: the person is there again.
    let ledger = home.data_dir().join("erasures.json");
    let kept = fs::read(&ledger).unwrap();
    fs::remove_file(&ledger).unwrap();
    let words = done(&home, &["restore", "--replace", backup.to_str().unwrap()]);
    assert!(!words.contains("erased"), "{words}");
    // With one that cannot be read, nothing is let through.
    crate::process::write_key(&ledger, "{");
    let failed = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
    assert!(!failed.status.success() && said(&failed).contains("erasures.json"), "{}", said(&failed));
    let failed = home.run(&["serve"]);
    assert!(!failed.status.success() && said(&failed).contains("erasures.json"), "{}", said(&failed));
    // The start of a server does it, too.
    crate::process::write_key(&ledger, kept);
    let program = home.serve(&token).await;
    settled(&program.client).await;
    swept(&home.location()).await;
    assert_gone(&home.location()).await;
    done(&home, &["doctor"]);
    drop(program);
}

#[tokio::test]
async fn a_database_file_that_is_put_back_is_erased_at_the_start_on_sqlite() {
    let home = Home::on_sqlite().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, applications) = running(&home).await;
    let token = program.client.admin.clone();
    program.kill();
    let (database, older) = (home.data_dir().join("muster.db"), file(&home, "older"));
    checkpoint(&database).await;
    fs::copy(&database, &older).unwrap();
    let program = home.serve(&token).await;
    erase(&program.client).await;
    program.kill();
    for left in ["-wal", "-shm"] {
        let _absent = fs::remove_file(home.data_dir().join(format!("muster.db{left}")));
    }
    fs::copy(&older, &database).unwrap();
    let looked = home.run(&["doctor"]);
    assert!(said(&looked).contains("1 erasures of"), "{}", said(&looked));
    let program = home.serve(&token).await;
    settled(&program.client).await;
    swept(&home.location()).await;
    applications.sync(&program.client).await;
    assert_gone(&home.location()).await;
    // The seal of the audit log has seen a newer database.
    done(&home, &["audit", "seal", "--accept"]);
    done(&home, &["doctor"]);
    drop(program);
}

#[tokio::test]
async fn a_dump_from_before_is_erased_at_the_start_on_postgres() {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, applications) = running(&home).await;
    let (dump, url) = (file(&home, "muster.dump"), home.database.url().unwrap().to_owned());
    let dump = dump.to_str().unwrap();
    tool("pg_dump", &["--format=custom", "--no-owner", "--file", dump, &url]);
    erase(&program.client).await;
    let token = program.client.admin.clone();
    program.kill();
    home.leases_run_out().await;
    let restore = ["--clean", "--if-exists", "--exit-on-error", "--no-owner", "--single-transaction", "--dbname"];
    tool("pg_restore", &[&restore[..], &[url.as_str(), dump]].concat());
    home.leases_run_out().await;
    assert_eq!(count(&home, "erasure").await, "0");
    // Before any server is started.
    done(&home, &["erasures", "apply"]);
    assert_eq!(count(&home, "erasure").await, "1");
    let program = home.serve(&token).await;
    settled(&program.client).await;
    swept(&home.location()).await;
    applications.sync(&program.client).await;
    assert_gone(&home.location()).await;
    drop(program);
}

#[tokio::test]
async fn erased_accounts_are_known_after_a_rotation_of_keys() {
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, applications) = running(&home).await;
    erase(&program.client).await;
    swept(&home.location()).await;
    done(&home, &["keys", "add"]);
    done(&home, &["keys", "rotate"]);
    let erasures = done(&home, &["erasures", "list"]);
    assert!(erasures.contains("3 accounts") && erasures.contains("Request 4711"), "{erasures}");
    let listed = done(&home, &["keys", "list"]);
    assert!(!listed.contains("MISSING"), "{listed}");
    let keys = fs::read_to_string(home.data_dir().join("secret.key")).unwrap();
    assert_eq!(keys.lines().count(), 1, "nothing needs the old key any more");
    applications.sync(&program.client).await;
    assert_gone(&home.location()).await;
    let token = program.client.admin.clone();
    program.kill();
    home.leases_run_out().await;
    let program = home.serve(&token).await;
    applications.sync(&program.client).await;
    assert_gone(&home.location()).await;
    done(&home, &["doctor"]);
    drop(program);
}

/// Erases, whatever becomes of the server.
async fn erase_until_gone(client: Client, id: String) {
    let query = "mutation($input: ErasePersonInput!) { erasePerson(input: $input) { accounts } }";
    let body = json!({ "query": query, "variables": { "input": request(&id) } }).to_string();
    let call = crate::support::http()
        .post(format!("{}/graphql", client.url))
        .bearer_auth(&client.admin)
        .header("content-type", "application/json")
        .body(body);
    let _gone_meanwhile = call.send().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_is_killed_is_carried_out_or_was_never_noted() {
    let (rounds, mut random) = rounds("erasures");
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let token = home.token();
    let mut program = home.serve(&token).await;
    let list = |kind: &str| -> Vec<Account> {
        let one = |number| account(&format!("{kind}{number}x"), &format!("p{number}x@acme.example"));
        (0..rounds).map(|number| one(number).named(&format!("Person {number}x"))).collect()
    };
    let applications = Applications::connect(&program.client, list("h"), list("c")).await;
    for round in 0..rounds {
        let name = format!("Person {round}x");
        let id = person(&program.client, &name).await.expect("the person is known");
        let client = Client::new(program.client.url.clone(), token.clone());
        let erasing = tokio::spawn(erase_until_gone(client, id.clone()));
        accident(&mut random, 0..60).await;
        program.kill();
        erasing.await.unwrap();
        home.leases_run_out().await;
        let was_noted = noted(&home.data_dir()).len();
        program = home.serve(&token).await;
        assert_eq!(count(&home, "erasure").await, was_noted.to_string(), "round {round}: what was noted is done");
        let is_known = person(&program.client, &name).await.is_some();
        assert_eq!(is_known, was_noted == usize::try_from(round).unwrap(), "round {round}");
        if is_known {
            program.client.done("erasePerson", request(&id), "accounts").await;
        }
        applications.sync(&program.client).await;
        assert!(person(&program.client, &name).await.is_none(), "round {round}");
        let left = format!("user_account WHERE email = 'p{round}x@acme.example'");
        assert_eq!(count(&home, &left).await, "0", "round {round}");
    }
    assert_eq!(count(&home, "user_account").await, (2 * rounds).to_string());
    swept(&home.location()).await;
    done(&home, &["doctor"]);
    program.kill();
    home.assert_intact().await;
}

/// What the doctor says of the ledger.
async fn doubts(place: &Place) -> Vec<String> {
    let examination = Examination {
        key_file: &place.path().join("secret.key"),
        data_dir: place.path(),
        retention: Retention::default(),
        provider: None,
        thorough: false,
        now: Clock::System.now(),
    };
    let report = examine(&place.location(), &examination).await.unwrap();
    report.findings.into_iter().filter(|finding| finding.check == "erasures").map(|finding| finding.wrong).collect()
}

#[tokio::test]
async fn the_doctor_names_what_the_ledger_has_and_the_database_lacks_and_the_next_start_does_it() {
    let builder =
        || Server::builder().settings(|settings| settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()]);
    let server = builder().start().await;
    Applications::connect(&server, staff(), chat()).await;
    erase(&server).await;
    let place = server.stop().await;
    assert_eq!(doubts(&place).await, Vec::<String>::new());
    let ledger = place.path().join("erasures.json");
    let mut erasures = noted(place.path());
    let mut other = erasures[0].clone();
    other["id"] = json!("01890000-0000-7000-8000-000000000001");
    erasures.push(other);
    fs::write(&ledger, json!({ "version": 1, "erasures": erasures }).to_string()).unwrap();
    assert_eq!(doubts(&place).await.len(), 1);
    let server = builder().place(place).start().await;
    let place = server.stop().await;
    assert_eq!(doubts(&place).await, Vec::<String>::new());
    // And the other way round: the ledger gets what only the database has.
    fs::remove_file(&ledger).unwrap();
    let server = builder().place(place).start().await;
    assert_eq!(noted(server.place.path()).len(), 2);
    server.stop().await;
}
