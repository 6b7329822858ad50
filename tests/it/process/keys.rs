//! `muster keys`: a new key takes the place of the old one while servers work.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use muster::db::Location;
use serde_json::json;

use super::{Home, Program, rounds, write_key};
use crate::maintenance::backup::{file, refused, said};
use crate::peers::Scim;
use crate::support::change;

const INSTANCES: usize = 12;

/// How many keys are in the key file.
fn keys(home: &Home) -> usize {
    fs::read_to_string(home.data_dir().join("secret.key")).unwrap().lines().count()
}

async fn connected(home: &Home, scim: &Scim) -> (Program, Vec<String>) {
    let token = home.token();
    let program = home.serve(&token).await;
    let mut ids = Vec::new();
    for number in 0..INSTANCES {
        ids.push(program.client.integrate("scim", &format!("Directory {number}"), &scim.config()).await);
    }
    for id in &ids {
        program.client.idle(id, "").await;
    }
    (program, ids)
}

fn done(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_again_and_again_loses_no_credential_of_a_running_server() {
    let scim = Scim::start(3, &[]);
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, ids) = connected(&home, &scim).await;
    let old_key = fs::read(home.data_dir().join("secret.key")).unwrap();
    let (rounds, mut random) = rounds("keys");
    for round in 0..rounds {
        done(&home, &["keys", "add"]);
        let mut rotation =
            home.command(&["keys", "rotate"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // New credentials are sealed in the meantime.
        let id = &ids[round as usize % INSTANCES];
        let config: Vec<_> = scim.config().map(|(key, value)| json!({ "key": key, "value": value })).into();
        let input = json!({ "id": id, "name": format!("Round {round}"), "config": config });
        program.client.done("updateInstance", input, "instance { id }").await;
        tokio::time::sleep(Duration::from_micros(random.u64(0..200_000))).await;
        let _ended_already = rotation.kill();
        rotation.wait().unwrap();
        assert_eq!(program.client.sync(id, "outcome").await["outcome"], "SUCCEEDED", "round {round}");
    }
    done(&home, &["keys", "add"]);
    done(&home, &["keys", "rotate"]);
    let listed = done(&home, &["keys", "list"]);
    assert_eq!(keys(&home), 1, "{listed}");
    assert!(listed.contains("in use") && !listed.contains("MISSING"), "{listed}");
    assert_ne!(fs::read(home.data_dir().join("secret.key")).unwrap(), old_key);
    // The server that was there all the time, and a new one.
    let renamed = json!({ "id": ids[0], "config": [{ "key": "token", "value": scim.token }] });
    program.client.done("updateInstance", renamed, "instance { id }").await;
    let token = program.client.admin.clone();
    for id in &ids {
        assert_eq!(program.client.sync(id, "outcome").await["outcome"], "SUCCEEDED");
    }
    program.kill();
    let program = home.serve(&token).await;
    for id in &ids {
        assert_eq!(program.client.sync(id, "outcome").await["outcome"], "SUCCEEDED");
    }
    let looked = home.run(&["doctor"]);
    assert!(looked.status.success(), "{}", said(&looked));
    program.kill();
    write_key(&home.data_dir().join("secret.key"), old_key);
    refused(&home.run(&["serve"]), "is not the key");
}

#[tokio::test]
async fn an_old_key_stays_while_a_value_that_does_not_open_may_need_it() {
    let scim = Scim::start(3, &[]);
    let home = Home::new().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, ids) = connected(&home, &scim).await;
    let db = muster::db::Db::open(&home.database.location(&home.data_dir()), 3).await.unwrap();
    let name = |new: &str| format!("UPDATE instance SET integration_key = '{new}' WHERE name = 'Directory 3'");
    change(&db, &name("okta")).await;
    let signature = match home.location() {
        Location::Postgres(_) => format!("'\\x{}'", home.one("SELECT encode(signature, 'hex') FROM api_token").await),
        Location::Sqlite(_) => format!("X'{}'", home.one("SELECT hex(signature) FROM api_token").await),
    };
    done(&home, &["keys", "add"]);
    let rotated = done(&home, &["keys", "rotate"]);
    assert!(rotated.contains("1 stored values do not open"), "{rotated}");
    assert_eq!(keys(&home), 2);
    change(&db, &name("scim")).await;
    let finished = done(&home, &["keys", "rotate"]);
    assert!(finished.contains("An earlier rotation was finished: 1 stored values"), "{finished}");
    assert_eq!(keys(&home), 1);
    assert_eq!(program.client.sync(&ids[3], "outcome").await["outcome"], "SUCCEEDED");
    // What the old key signed is no longer valid, although the server began with it.
    change(&db, &format!("UPDATE api_token SET signature = {signature}")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = program.client.ask_as(&program.client.admin, "{ instances { totalCount } }", json!({})).await;
    assert!(answer["data"].is_null(), "{answer:#}");
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_needs_the_key_file_of_its_time_on_sqlite() {
    let scim = Scim::start(3, &[]);
    let home = Home::on_sqlite().set("ALLOWED_NETWORKS", "127.0.0.0/8");
    let (program, ids) = connected(&home, &scim).await;
    let (before, after) = (file(&home, "before"), file(&home, "after"));
    let key = home.data_dir().join("secret.key");
    let old_key = fs::read(&key).unwrap();
    done(&home, &["backup", before.to_str().unwrap()]);
    let rotated = done(&home, &["keys", "rotate"]);
    // Beside the credentials: the check of the key, the token, and the ends of the audit log.
    assert!(
        rotated.contains(&format!("{} stored values were sealed anew, and 1 old keys", INSTANCES + 3)),
        "{rotated}"
    );
    done(&home, &["backup", after.to_str().unwrap()]);
    let token = program.client.admin.clone();
    program.kill();
    refused(&home.run(&["restore", "--replace", before.to_str().unwrap()]), "another secret key");
    done(&home, &["restore", "--replace", after.to_str().unwrap()]);
    write_key(&key, old_key);
    done(&home, &["restore", "--replace", before.to_str().unwrap()]);
    let program = home.serve(&token).await;
    assert_eq!(program.client.sync(&ids[0], "outcome").await["outcome"], "SUCCEEDED");
}
