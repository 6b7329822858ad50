//! What somebody who can write the database, but has no key, gets of the credentials and tokens in it: nothing.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use muster::auth::Role;
use muster::auth::tokens::NewToken;
use muster::clock::Clock;
use muster::db::Location;
use muster::doctor::{Examination, examine};
use muster::maintenance::retention::Retention;
use muster::secrets;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use serde_json::{Value, json};

use crate::peers::{Scim, server};
use crate::support::{Place, Server, change, one};

const RUN: &str = "outcome failure { class message }";

/// The checks of the doctor with findings, and what they are about.
async fn doctor(place: &Place) -> Vec<(&'static str, Option<String>)> {
    let key_file = &place.path().join("secret.key");
    let retention =
        Retention { events: 30, runs: 400, changes: 90, mails: 400, removed_users: 400, audit: 400, audit_names: 400 };
    let data_dir = place.path();
    let examination =
        Examination { key_file, data_dir, retention, provider: None, thorough: false, now: Clock::System.now() };
    let report = examine(&place.location(), &examination).await.unwrap();
    let of = |check: &str| matches!(check, "secret-key" | "api-tokens" | "installation");
    let found = report.findings.into_iter().filter(|finding| of(finding.check));
    found.map(|finding| (finding.check, finding.id.map(|id| id.to_string()))).collect()
}

/// The id of a row as the database has it.
fn uuid(id: &str) -> String {
    let text = URL_SAFE_NO_PAD.decode(id).unwrap();
    let (_, hex) = std::str::from_utf8(&text).unwrap().split_once(':').unwrap();
    hex.parse::<uuid::Uuid>().unwrap().to_string()
}

async fn update(server: &Server, input: Value) -> Value {
    let mutation = "mutation($input: UpdateInstanceInput!) { updateInstance(input: $input) {
        instance { config { key value } } userErrors { code message field } } }";
    server.ask(mutation, json!({ "input": input })).await["updateInstance"].clone()
}

fn settings(values: &[(&str, &str)]) -> Value {
    values.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// A literal for bytes that were read as hexadecimal digits.
fn literal(location: &Location, hex: &str) -> String {
    match location {
        Location::Postgres(_) => format!("'\\x{hex}'"),
        Location::Sqlite(_) => format!("X'{hex}'"),
    }
}

async fn secrets(location: &Location, name: &str) -> String {
    let hex = match location {
        Location::Postgres(_) => "encode(secrets, 'hex')",
        Location::Sqlite(_) => "hex(secrets)",
    };
    one(location, &format!("SELECT {hex} FROM instance WHERE name = '{name}'")).await
}

#[tokio::test]
async fn a_credential_opens_neither_at_another_host_nor_in_another_row_nor_in_an_older_state() {
    let (scim, evil) = (Scim::start(3, &[]), Scim::start(3, &[]));
    let server = server().start().await;
    let id = server.integrate("scim", "Victim", &scim.config()).await;
    let other = server.integrate("scim", "Other", &scim.config()).await;
    server.idle(&id, "").await;
    server.idle(&other, "").await;
    assert_eq!(doctor(&server.place).await, []);

    let moved =
        |from: &str, to: &str| format!("UPDATE instance SET config = REPLACE(CAST(config AS TEXT), '{from}', '{to}')");
    let cast =
        |sql: String| if matches!(server.place.location(), Location::Postgres(_)) { sql + "::json" } else { sql };
    let moved = |from: &str, to: &str| cast(moved(from, to)) + " WHERE name = 'Victim'";
    let asked = evil.calls().await;
    change(&server.db, &moved(&scim.base_url, &evil.base_url)).await;
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["outcome"], &run["failure"]["class"]), (&json!("FAILED"), &json!("INTERNAL")), "{run:#}");
    assert!(run["failure"]["message"].as_str().unwrap().contains("changed outside of Muster"), "{run:#}");
    assert_eq!(doctor(&server.place).await, [("secret-key", Some(uuid(&id)))]);
    // A new credential alone would go to a host that nobody here has chosen.
    let alone = update(&server, json!({ "id": id, "config": settings(&[("token", "new")]) })).await;
    assert!(alone["userErrors"].to_string().contains("changed outside of Muster"), "{alone:#}");
    let tested = server.mutate("testConnection", json!({ "instanceId": id }), "ok").await;
    assert_eq!(tested["ok"], false, "{tested:#}");
    assert_eq!(evil.calls().await, asked, "the other host was never asked");
    change(&server.db, &moved(&evil.base_url, &scim.base_url)).await;
    assert_eq!(server.sync(&id, RUN).await["outcome"], "SUCCEEDED", "with its own settings it opens again");

    let location = server.place.location();
    let old = secrets(&location, "Victim").await;
    let foreign = literal(&location, &secrets(&location, "Other").await);
    change(&server.db, &format!("UPDATE instance SET secrets = {foreign} WHERE name = 'Victim'")).await;
    assert_eq!(server.sync(&id, RUN).await["outcome"], "FAILED");
    assert_eq!(doctor(&server.place).await, [("secret-key", Some(uuid(&id)))]);

    // All settings together mend it.
    let mended = update(&server, json!({ "id": id, "config": settings(&scim.config()) })).await;
    assert_eq!(mended["userErrors"], json!([]), "{mended:#}");
    assert_eq!(server.sync(&id, RUN).await["outcome"], "SUCCEEDED");
    assert_eq!(doctor(&server.place).await, []);

    let old = literal(&location, &old);
    change(&server.db, &format!("UPDATE instance SET secrets = {old} WHERE name = 'Victim'")).await;
    assert_eq!(server.sync(&id, RUN).await["outcome"], "FAILED", "an older value does not open");
    assert_eq!(doctor(&server.place).await, [("secret-key", Some(uuid(&id)))]);
    assert_eq!(server.sync(&other, RUN).await["outcome"], "SUCCEEDED", "nothing else is affected");

    // A broken credential does not keep the server from starting.
    let place = server.stop().await;
    let server = crate::peers::server().place(place).start().await;
    assert_eq!(server.sync(&other, RUN).await["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn a_token_that_was_planted_changed_or_revived_is_refused_and_named() {
    let server = Server::start().await;
    let valid = |token: String| {
        let server = &server;
        async move { server.ask_as(&token, "{ instances { totalCount } }", json!({})).await["data"].is_object() }
    };
    let revoked = server.tokens.create(NewToken::new("revoked", Role::Admin)).await.unwrap().text;
    let changed = server.tokens.create(NewToken::new("changed", Role::Viewer)).await.unwrap().text;
    assert_eq!(server.tokens.revoke("revoked").await.unwrap(), 1);
    assert_eq!(doctor(&server.place).await, []);

    let location = server.place.location();
    let planted = format!("muster_{}", "A".repeat(32));
    let hash = secrets::hex(&secrets::hash(&planted));
    let (hash, id) = (literal(&location, &hash), uuid::Uuid::now_v7());
    let id = match &location {
        Location::Postgres(_) => format!("'{id}'"),
        Location::Sqlite(_) => literal(&location, &id.simple().to_string()),
    };
    for statement in [
        format!("INSERT INTO api_token (id, name, hash, role, created_at) VALUES ({id}, 'planted', {hash}, 'admin', 1)"),
        // The signature of another row fits nowhere else.
        "UPDATE api_token SET signature = (SELECT signature FROM api_token WHERE name = 'admin') WHERE name = 'planted'".into(),
        "UPDATE api_token SET role = 'admin' WHERE name = 'changed'".into(),
        "UPDATE api_token SET revoked_at = NULL WHERE name = 'revoked'".into(),
    ] {
        change(&server.db, &statement).await;
        for token in [&planted, &revoked] {
            assert!(!valid(token.clone()).await, "{statement}");
        }
    }
    let place = server.stop().await;
    let found = doctor(&place).await;
    assert!(found.len() == 3 && found.iter().all(|(check, id)| *check == "api-tokens" && id.is_some()), "{found:?}");
    let server = Server::builder().place(place).start().await;
    for token in [&planted, &revoked, &changed] {
        let answer = server.ask_as(token, "{ instances { totalCount } }", json!({})).await;
        assert!(answer["data"].is_null(), "{answer:#}");
    }
    for name in ["planted", "changed", "revoked"] {
        assert_eq!(server.tokens.revoke(name).await.unwrap(), 1);
    }
    assert_eq!(doctor(&server.place).await, [], "a revoked token is as it should be");
}

#[tokio::test]
async fn a_database_that_is_made_to_look_old_gets_no_token_signed() {
    let server = Server::start().await;
    let location = server.place.location();
    let planted = format!("muster_{}", "A".repeat(32));
    let hash = literal(&location, &secrets::hex(&secrets::hash(&planted)));
    let place = server.stop().await;
    let db = place.open().await;
    for statement in [
        "UPDATE api_token SET signature = NULL".to_owned(),
        format!("UPDATE api_token SET hash = {hash} WHERE name = 'admin'"),
        "UPDATE instance SET secrets = NULL, secrets_generation = 0".into(),
        "DELETE FROM member_link".into(),
        "UPDATE installation SET key_check = NULL".into(),
    ] {
        change(&db, &statement).await;
    }
    db.close().await.unwrap();
    let server = Server::builder().place(place).start().await;
    let answer = server.ask_as(&planted, "{ __typename }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer}");
}

/// A value as the first versions sealed it.
fn first_version(key_file: &std::path::Path, owner: &str, plain: &[u8]) -> String {
    let text = std::fs::read_to_string(key_file).unwrap();
    let bytes = STANDARD.decode(text.trim()).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).unwrap());
    let mut value = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key([7; 12]);
    key.seal_in_place_append_tag(nonce, Aad::from(owner.as_bytes()), &mut value).unwrap();
    secrets::hex(&[&[1][..], &[7; 12], &value].concat())
}

#[tokio::test]
async fn what_an_earlier_version_stored_is_sealed_and_signed_anew_once() {
    let scim = Scim::start(3, &[]);
    let server = server().start().await;
    let id = server.integrate("scim", "Directory", &scim.config()).await;
    server.idle(&id, "").await;
    let (admin, place) = (server.admin.clone(), server.stop().await);
    let (location, key) = (place.location(), place.path().join("secret.key"));
    let check = literal(&location, &first_version(&key, "installation.key_check", b"muster"));
    let plain = json!({ "token": scim.token }).to_string();
    let sealed = literal(&location, &first_version(&key, &format!("instance.secrets:{}", uuid(&id)), plain.as_bytes()));
    let back = format!(
        "UPDATE installation SET key_check = {check}; UPDATE api_token SET signature = NULL;
         UPDATE instance SET secrets = {sealed}, secrets_generation = 0"
    );
    let db = place.open().await;
    change(&db, &back).await;
    db.close().await.unwrap();
    assert_eq!(doctor(&place).await.len(), 4, "the installation, the credential and two tokens");

    let server = crate::peers::server().place(place).start().await;
    assert!(server.ask_as(&admin, "{ instances { totalCount } }", json!({})).await["data"].is_object());
    assert_eq!(server.sync(&id, RUN).await["outcome"], "SUCCEEDED");
    assert_eq!(doctor(&server.place).await, []);

    // From now on nothing of the earlier version is accepted, not even with its key check.
    let token = "UPDATE api_token SET signature = NULL WHERE name = 'viewer'";
    change(
        &server.db,
        &format!("UPDATE instance SET secrets = {sealed}; {token}; UPDATE installation SET key_check = {check}"),
    )
    .await;
    let place = server.stop().await;
    let server = crate::peers::server().place(place).start().await;
    assert_eq!(server.sync(&id, RUN).await["outcome"], "FAILED");
    let found = doctor(&server.place).await;
    assert_eq!(found.iter().filter(|(check, _)| *check == "api-tokens").count(), 2, "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}
