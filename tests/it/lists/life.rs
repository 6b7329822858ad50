//! The life of an instance whose users are delivered.

use serde_json::json;

use super::{csv, csv_of, deliver, put};
use crate::support::{Server, assert_intact, one};

const RUN: &str = "trigger outcome seen added changed removed mailDecision { kind }";

#[tokio::test]
async fn an_instance_waits_for_its_first_list_and_then_lives_like_any_other() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    let fields = "status health syncState headline nextSyncAt lastSync { id } notice { title } freshness { state } \
        lastDelivery { userCount } integration { key isDelivered authentication configFields { key } }";
    let new = server.instance(&id, fields).await;
    assert_eq!(
        new,
        json!({
            "status": "LIVE", "health": "PENDING", "syncState": "IDLE", "headline": "FIRST_SYNC", "nextSyncAt": null,
            "lastSync": null, "notice": null, "freshness": { "state": "NEVER" }, "lastDelivery": null,
            "integration": { "key": "list", "isDelivered": true, "authentication": "NONE", "configFields": [] },
        })
    );
    let first = deliver(&server, &id, csv(&["ada", "bob"])).await;
    assert_eq!(
        (&first["rows"], &first["separator"], &first["encoding"], &first["format"]),
        (&json!(2), &json!(","), &json!("utf-8"), &json!("csv"))
    );
    assert_eq!(first["columns"], json!({ "email": ["mail"], "displayName": ["name"], "status": ["status"] }));
    server.idle(&id, "").await;
    let query = format!("query($id: ID!) {{ syncRun(id: $id) {{ {RUN} }} }}");
    let run = server.ask(&query, json!({ "id": first["run"] })).await["syncRun"].take();
    let expected = json!({ "trigger": "INITIAL", "outcome": "SUCCEEDED", "seen": 2, "added": 2, "changed": 0, "removed": 0,
        "mailDecision": { "kind": "INITIAL_SYNC_SUCCEEDED" } });
    assert_eq!(run, expected);
    assert_eq!(
        one(&server.place.location(), "SELECT CAST(COUNT(*) AS text) FROM list_batch").await,
        "0",
        "the register has the users"
    );

    assert_intact(&server.stop().await.location()).await;
}

#[tokio::test]
async fn the_next_list_changes_and_removes_users_and_its_columns_are_remembered() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv(&["ada", "bob"])).await;
    server.idle(&id, "").await;
    deliver(&server, &id, "mail,name,status\nAda@acme.example,Ada L.,inactive\ncem@acme.example,cem,\n").await;
    server.idle(&id, "").await;
    let runs = server.runs(&id, RUN).await;
    let expected = json!({ "trigger": "MANUAL", "outcome": "SUCCEEDED", "seen": 2, "added": 1, "changed": 1, "removed": 1,
        "mailDecision": { "kind": null } });
    assert_eq!(runs[1], expected, "an address in another case is the same account");
    let users = "users(first: 9) { nodes { externalId email displayName status } }";
    let mut users = server.instance(&id, users).await["users"]["nodes"].as_array().unwrap().clone();
    users.sort_by_key(|user| user["externalId"].to_string());
    assert_eq!(
        users,
        [
            json!({ "externalId": "ada@acme.example", "email": "Ada@acme.example", "displayName": "Ada L.", "status": "SUSPENDED" }),
            json!({ "externalId": "cem@acme.example", "email": "cem@acme.example", "displayName": "cem", "status": "UNKNOWN" }),
        ]
    );
    let now = server
        .instance(&id, "health freshness { state asOf } lastDelivery { deliveredAt deliveredBy userCount isWaiting format encoding separator dateOrder columns { field columns } }")
        .await;
    assert_eq!((&now["health"], &now["freshness"]["state"]), (&json!("OK"), &json!("FRESH")));
    assert_eq!(now["freshness"]["asOf"], now["lastDelivery"]["deliveredAt"]);
    let mut delivery = now["lastDelivery"].clone();
    delivery.as_object_mut().unwrap().remove("deliveredAt");
    assert_eq!(
        delivery,
        json!({
            "deliveredBy": "ada@example.com", "userCount": 2, "isWaiting": false, "format": "CSV", "encoding": "UTF_8",
            "separator": ",", "dateOrder": null,
            "columns": [
                { "field": "email", "columns": ["mail"] },
                { "field": "displayName", "columns": ["name"] },
                { "field": "status", "columns": ["status"] },
            ],
        })
    );
    let log = "{ auditLog(filter: { actions: [LIST_DELIVERED] }) { nodes { actor outcome subjectName detail } } }";
    let log = server.ask(log, json!({})).await["auditLog"]["nodes"].take();
    let entry = json!({ "actor": "ada@example.com", "outcome": "OK", "subjectName": "Payroll",
        "detail": "A list was delivered. It has 2 rows." });
    assert_eq!(log, json!([entry, entry]));
    assert_intact(&server.stop().await.location()).await;
}

#[tokio::test]
async fn every_format_encoding_and_separator_gives_the_same_users() {
    let server = Server::start().await;
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("Mail\tName\nzoe@acme.example\tZoë €\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let cases: [(&str, &str, Vec<u8>); 5] = [
        ("text/csv", "", "mail,name\nzoe@acme.example,Zoë €\n".into()),
        ("text/csv; charset=\"windows-1252\"", "", b"mail;name\r\nzoe@acme.example;Zo\xeb \x80\r\n".to_vec()),
        ("text/csv", "", wide),
        (
            "text/csv",
            "?separator=pipe&email=Post&displayName=Vor&displayName=Nach",
            "Post|Vor|Nach\nzoe@acme.example|Zoë|€\n".into(),
        ),
        ("application/x-ndjson", "", "{\"email\":\"zoe@acme.example\",\"displayName\":\"Zoë €\"}\n".into()),
    ];
    for (number, (content_type, query, body)) in cases.into_iter().enumerate() {
        let id = server.integrate("list", &format!("List {number}"), &[]).await;
        let response = put(&server, &server.admin, &format!("{id}{query}"), content_type, body).await;
        assert_eq!(response.status(), 202, "{number}: {}", response.text().await.unwrap());
        server.idle(&id, "").await;
        let users = server.instance(&id, "users { nodes { externalId displayName } }").await["users"]["nodes"].take();
        assert_eq!(users, json!([{ "externalId": "zoe@acme.example", "displayName": "Zoë €" }]), "{number}");
    }
}

#[tokio::test]
async fn what_a_list_has_no_column_for_is_not_provided() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, "mail,mfa\nada@acme.example,yes\n").await;
    let states = server.idle(&id, "capabilityStates { capability provided asOf }").await;
    let provided: Vec<_> =
        states["capabilityStates"].as_array().unwrap().iter().filter(|state| state["provided"] == true).collect();
    let names: Vec<_> = provided.iter().map(|state| state["capability"].as_str().unwrap()).collect();
    assert_eq!(names, ["USERS", "MFA"]);
    assert!(provided.iter().all(|state| state["asOf"].is_string()), "{provided:?}");
}

#[tokio::test]
async fn deleted_users_come_back_with_the_next_list_and_a_deleted_instance_takes_none() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv_of(30)).await;
    server.idle(&id, "").await;
    // This one waits.
    deliver(&server, &id, csv_of(3)).await;
    let held = server.idle(&id, "headline lastDelivery { isWaiting }").await;
    assert_eq!((&held["headline"], &held["lastDelivery"]["isWaiting"]), (&json!("HELD"), &json!(true)));
    let acknowledged = json!({ "instanceId": id, "acknowledgeIrreversible": true });
    server.done("deleteAllUsers", acknowledged, "").await;
    let after = server.instance(&id, "userCount lastDelivery { isWaiting userCount }").await;
    assert_eq!(after, json!({ "userCount": 0, "lastDelivery": { "isWaiting": false, "userCount": 3 } }));
    assert_eq!(one(&server.place.location(), "SELECT CAST(COUNT(*) AS text) FROM list_batch").await, "0");
    deliver(&server, &id, csv_of(3)).await;
    assert_eq!(server.idle(&id, "userCount").await["userCount"], 3);

    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    let left = "SELECT CAST((SELECT COUNT(*) FROM list_delivery) + (SELECT COUNT(*) FROM list_batch) AS text)";
    assert_eq!(one(&server.place.location(), left).await, "0");
    let late = put(&server, &server.admin, &id, "text/csv", csv_of(3)).await;
    assert_eq!(late.status(), 409);
    assert_eq!(one(&server.place.location(), left).await, "0");
}

#[tokio::test]
async fn of_two_lists_the_one_that_is_complete_last_counts() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    deliver(&server, &id, csv_of(20_000)).await;
    deliver(&server, &id, csv(&["ada"])).await;
    let now = server.idle(&id, "userCount lastSync { outcome } lastDelivery { userCount isWaiting }").await;
    // Those whom the first run has stored have left again, or it was cancelled before.
    if now["lastSync"]["outcome"] == "FAILED" {
        server.done("syncInstance", json!({ "id": id, "acceptRemovals": true }), "").await;
        server.idle(&id, "").await;
    }
    assert_eq!(server.people(&id).await, ["ada@acme.example"]);
    assert_eq!(
        server.instance(&id, "lastDelivery { userCount isWaiting }").await["lastDelivery"],
        json!({ "userCount": 1, "isWaiting": false })
    );
}

#[tokio::test]
async fn a_preview_says_how_a_file_would_be_read_and_stores_nothing() {
    let server = Server::start().await;
    let id = server.integrate("list", "Payroll", &[]).await;
    let body = b"Nr;Mail;Vorname;Nachname\r\n1;zo\xeb@acme.example;\"Zo\xeb; \";M.\r\n".to_vec();
    let request = crate::support::http().post(format!("{}/lists/{id}/preview", server.url)).bearer_auth(&server.admin);
    let response = request.header("content-type", "text/csv").body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let shown: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        shown,
        json!({
            "encoding": "windows-1252", "separator": ";", "problem": null, "names": ["Nr", "Mail", "Vorname", "Nachname"],
            "columns": { "email": ["Mail"], "displayName": ["Vorname", "Nachname"] },
            "rows": [["1", "zoë@acme.example", "Zoë; ", "M."]],
        })
    );
    assert_eq!(one(&server.place.location(), "SELECT CAST(COUNT(*) AS text) FROM list_delivery").await, "0");
}
