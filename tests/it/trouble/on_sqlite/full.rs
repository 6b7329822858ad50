//! A full disk under the SQLite file.

use muster::db::{Db, Trouble};
use serde_json::{Value, json};

use crate::process::Home;
use crate::support::{Place, change, http};
use crate::trouble::SmallDisk;

const RENAME: &str = "mutation($id: ID!, $name: String!) { updateInstance(input: { id: $id, name: $name }) { instance { name } userErrors { code } } }";

#[tokio::test]
async fn with_a_full_disk_mutations_fail_cleanly_reads_go_on_and_room_mends_it() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let file = disk.path().join("muster.db");
    let home = Home::new().set("DATABASE_URL", format!("sqlite://{}", file.display()));
    let token = home.token();
    let program = home.serve(&token).await;
    let client = &program.client;
    let id = client.rehearse("Acme", &[("users", "100")]).await;
    client.idle(&id, "").await;
    let waits = client.rehearse("Waits", &[("users", "4000"), ("page_size", "100"), ("latency_ms", "50")]).await;
    client.until(&waits, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() > Some(200)).await;
    disk.fill();

    let rename = async |number: usize| -> Value {
        let name = format!("{number} {}", "x".repeat(180));
        client.ask_as(&token, RENAME, json!({ "id": id, "name": name })).await
    };
    let mut last = String::from("Acme");
    let mut refused = 0;
    for number in 0..2_000 {
        let answer = rename(number).await;
        if answer.get("errors").is_none() {
            answer["data"]["updateInstance"]["instance"]["name"].as_str().unwrap().clone_into(&mut last);
            continue;
        }
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("The disk of the server's database is full."), "{answer}");
        refused += 1;
        if refused == 3 {
            break;
        }
    }
    assert_eq!(refused, 3, "the disk was never full");
    assert_eq!(client.instance(&id, "name userCount").await, json!({ "name": last, "userCount": 100 }));
    let trouble = "{ serverStatus { databaseTrouble { kind } } }";
    let status = client.ask(trouble, json!({})).await;
    assert_eq!(status["serverStatus"], json!({ "databaseTrouble": { "kind": "DISK_FULL" } }));
    let ready = http().get(format!("{}/readyz", client.url)).send().await.unwrap().text().await.unwrap();
    assert!(ready.contains("disk") && home.log().contains("the disk of the database is full"), "{ready}");
    let looked = String::from_utf8(home.run(&["doctor"]).stdout).unwrap();
    assert!(looked.contains("disk-space: database: "), "{looked}");
    disk.empty();

    assert!(rename(5_000).await.get("errors").is_none());
    assert_eq!(client.ask(trouble, json!({})).await["serverStatus"], json!({ "databaseTrouble": null }));
    let found = client.idle(&waits, "lastSync { outcome seen added }").await;
    assert_eq!(found["lastSync"], json!({ "outcome": "SUCCEEDED", "seen": 4000, "added": 4000 }));
    let url = format!("sqlite://{}?mode=ro", file.display());
    let db = sea_orm::Database::connect(url).await.unwrap();
    let check = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "PRAGMA integrity_check");
    let row = sea_orm::ConnectionTrait::query_one_raw(&db, check).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "ok");
    db.close().await.unwrap();
}

#[tokio::test]
async fn only_a_transaction_that_stored_something_shows_that_there_is_room() {
    let place = Place::new();
    let db = Db::open(&place.location(), 1).await.unwrap();
    db.note_trouble(Trouble::DiskFull);
    db.write(|_| async { Ok(()) }).await.unwrap();
    change(&db, "UPDATE recipient SET position = 1").await;
    assert!(db.trouble().is_some(), "nothing was stored");
    change(&db, "INSERT INTO recipient (address_key, address, position) VALUES ('a@b', 'a@b', 0)").await;
    assert_eq!(db.trouble(), None);
    db.close().await.unwrap();
}
