//! A run by another manifest than the last complete one is a new baseline.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::peer::Application;
use crate::support::{Place, Server, change};

const RUN: &str = "outcome added changed removed newBaseline remark failure { class } changes { totalCount }";

/// The manifest of an application that speaks SCIM. The parts in braces differ between its editions.
fn write_manifest(dir: &Path, setup: &str, name: &str, skip: &str) {
    let manifest = format!(
        "name: Peer
category: identity
description: Lists the users of the application that the tests bring along.
required_permissions: [users.read]
setup: {setup}
config:
  - {{key: origin, label: Address, type: url}}
  - {{key: token, label: Token, type: secret}}
base_url: '{{{{config.origin}}}}'
auth: {{bearer: '{{{{config.token}}}}'}}
users:
  path: /Users
  pages: none
  records: $.Resources
  skip_if: [\"{skip}\"]
  map:
    external_id: $.id
    display_name: {name}
    status: active
"
    );
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("own.yaml"), manifest).unwrap();
}

async fn server(place: Place) -> Server {
    let dir = place.path().join("connectors");
    let builder = Server::builder().place(place).settings(move |settings| {
        settings.connectors_dir = Some(dir);
        settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    });
    builder.start().await
}

#[tokio::test]
async fn what_another_manifest_reads_differently_is_a_new_baseline() {
    let application = Application::start("secret", 40).await;
    let place = Place::new();
    let dir = place.path().join("connectors");
    let nobody = "$[?@.id == 'nobody']";
    write_manifest(&dir, "None.", "$.userName", nobody);
    let mut server = server(place).await;
    let id = server.integrate("own", "Acme", &[("origin", &application.url), ("token", "secret")]).await;
    let first = server.idle(&id, &format!("lastSync {{ {RUN} }}")).await["lastSync"].take();
    assert_eq!((&first["newBaseline"], &first["added"], &first["remark"]), (&json!(false), &json!(40), &json!(null)));

    for (edition, setup, name, skip, wanted) in [
        ("other words", "Nothing.", "$.userName", nobody, (false, 0, 0, 40)),
        ("another name", "Nothing.", "$.id", nobody, (true, 0, 0, 40)),
        ("fewer users", "Nothing.", "$.id", "$[?@.id != 'user-7']", (true, 0, 39, 1)),
        ("all users again", "Nothing.", "$.id", nobody, (true, 39, 0, 40)),
        ("nobody", "Nothing.", "$.id", "$[?@.id != 'nobody']", (true, 0, 0, 40)),
    ] {
        let place = server.stop().await;
        write_manifest(&dir, setup, name, skip);
        server = self::server(place).await;
        let run = server.sync(&id, RUN).await;
        let (new_baseline, added, removed, users) = wanted;
        assert_eq!(
            (&run["newBaseline"], &run["added"], &run["changed"], &run["removed"]),
            (&json!(new_baseline), &json!(added), &json!(0), &json!(removed)),
            "{edition}: {run}"
        );
        let held = if edition == "nobody" { json!({ "class": "REMOVAL_GUARD" }) } else { json!(null) };
        assert_eq!(run["failure"], held, "{edition}");
        assert_eq!(run["remark"].is_string(), new_baseline && held.is_null(), "{edition}: {run}");
        let shown = server.instance(&id, "userCount users(first: 1) { nodes { displayName } }").await;
        assert_eq!(shown["userCount"], users, "{edition}");
        let shown = shown["users"]["nodes"][0]["displayName"].as_str().unwrap().contains('@');
        assert_eq!(shown, name == "$.userName", "{edition}");
        let again = server.sync(&id, "newBaseline").await["newBaseline"].take();
        assert_eq!(again, json!(edition == "nobody"), "{edition}: a run that failed is no baseline");
    }
}

#[tokio::test]
async fn a_list_that_cannot_prove_itself_leaves_the_baseline_to_the_next_unless_no_list_can() {
    let server = Server::start().await;
    for (outcomes, baselines) in
        [("success,uncertain,success", [true, true, false]), ("uncertain", [true, false, false])]
    {
        let id = server.rehearse(outcomes, &[("users", "40"), ("outcomes", outcomes)]).await;
        server.idle(&id, "").await;
        change(&server.db, "UPDATE instance SET manifest_digest = NULL").await;
        for is_baseline in baselines {
            assert_eq!(server.sync(&id, RUN).await["newBaseline"], is_baseline, "{outcomes}");
        }
    }
}

#[tokio::test]
async fn the_first_run_after_an_upgrade_is_a_new_baseline() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "40"), ("churn_percent", "100")]).await;
    server.idle(&id, "").await;
    change(&server.db, "UPDATE instance SET manifest_digest = NULL, known_users = NULL").await;
    let run = server.sync(&id, RUN).await;
    assert_eq!(
        (&run["newBaseline"], &run["outcome"], &run["removed"]),
        (&json!(true), &json!("SUCCEEDED"), &json!(40))
    );
    let run = server.sync(&id, RUN).await;
    assert_eq!((&run["newBaseline"], &run["outcome"]), (&json!(false), &json!("FAILED")));
}
