//! What is held against accounts, who may change it, and who sees what.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::application::{Office, ago, names, tool};
use crate::people::roster::account;

async fn office() -> Office {
    let records = vec![account("h1", "p1@acme.example"), account("h2", "p2@acme.example")];
    let accounts = vec![
        tool("weak", "p1@acme.example", json!({ "mfa": false })),
        tool("idle", "p2@acme.example", json!({ "last": ago(40) })),
    ];
    Office::start(records, accounts).await
}

#[tokio::test]
async fn days_and_types_are_settings() {
    let office = office().await;
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]));
    office.server.done("setReportSettings", json!({ "inactiveDays": 30 }), "settings { inactiveDays }").await;
    assert_eq!(office.findings("OPEN").await, names(["idle INACTIVE", "weak NO_MFA"]));
    office.server.done("setReportSettings", json!({ "inactiveDays": 60 }), "").await;
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]));
    assert_eq!(office.closed().await["idle INACTIVE"], "REASSESSED");
    let set = office.server.done(
        "setReportSettings",
        json!({ "disabledTypes": ["NO_MFA"] }),
        "settings { disabledTypes inactiveDays }",
    );
    assert_eq!(set.await["settings"], json!({ "disabledTypes": ["NO_MFA"], "inactiveDays": 60 }));
    assert_eq!(office.findings("OPEN").await, names([]));
    assert_eq!(office.closed().await["weak NO_MFA"], "RULE_OFF");
    assert_eq!(office.figures().await["mfa"], [0, 0, 0, 0]);
    office.server.done("setReportSettings", json!({ "disabledTypes": [] }), "").await;
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]));
    for (input, field) in [
        (json!({ "inactiveDays": 6 }), json!(["inactiveDays"])),
        (json!({ "inactiveDays": 731 }), json!(["inactiveDays"])),
        (
            json!({ "signInEnforcedBy": [{ "instanceId": office.tool, "providerId": office.tool }] }),
            json!(["signInEnforcedBy", "0", "providerId"]),
        ),
        (
            json!({ "signInEnforcedBy": [{ "instanceId": office.tool, "providerId": "x" }] }),
            json!(["signInEnforcedBy", "0", "providerId"]),
        ),
    ] {
        let refused = office.server.refused("setReportSettings", input.clone()).await;
        assert_eq!(refused, [("INVALID_INPUT".to_owned(), field)], "{input}");
    }
    let log = office.server.ask("{ auditLog(first: 100) { nodes { action } } }", json!({})).await.to_string();
    assert!(log.contains("REPORT_SETTINGS_SET"), "{log}");
    office.end().await;
}

#[tokio::test]
async fn a_licence_is_unused_only_while_it_has_a_price() {
    let unused = |id: &str, licenses: Value| tool(id, "", json!({ "last": null, "licenses": licenses }));
    let accounts = vec![
        unused("own", json!(["Pro"])),
        unused("contract", json!(["Free", "Addon"])),
        unused("free", json!(["Free"])),
    ];
    let office = Office::start(vec![account("h1", "p1@acme.example")], accounts).await;
    let found = async || {
        let all = office.findings("OPEN").await;
        all.into_iter().filter(|name| name.ends_with(" NEVER_USED")).collect::<BTreeSet<String>>()
    };
    assert_eq!(found().await, names(["own NEVER_USED"]));
    assert_eq!(office.figures().await["neverUsed"], [1, 0, 0, 0]);
    let contract = |amount: &str, ends: &str| {
        json!({ "instanceId": office.tool, "name": "Order", "currency": "EUR", "startsOn": &ago(30)[..10], "endsOn": ends,
            "noticeDays": 0, "lines": [{ "license": "Addon", "seats": 5, "unitPrice": amount }] })
    };
    let made = office.server.done("upsertContract", contract("3.00", &ago(-30)[..10]), "contract { id }").await;
    assert_eq!(found().await, names(["contract NEVER_USED", "own NEVER_USED"]));
    office.server.done("setPrice", json!({ "instanceId": office.tool, "license": "Pro", "price": null }), "").await;
    assert_eq!(found().await, names(["contract NEVER_USED"]));
    assert_eq!(office.closed().await["own NEVER_USED"], "REASSESSED");
    // Without a price, and after the contract.
    let mut order = made["contract"]["id"].clone();
    for (name, input) in [("free", contract("0.00", &ago(-30)[..10])), ("over", contract("3.00", &ago(2)[..10]))] {
        office.server.done("deleteContract", json!({ "id": order }), "").await;
        order = office.server.done("upsertContract", input, "contract { id }").await["contract"]["id"].take();
        assert_eq!(found().await, names([]), "{name}");
    }
    assert_eq!(office.figures().await["neverUsed"], [0, 0, 0, 0]);
    office.end().await;
}

#[tokio::test]
async fn the_second_factor_of_the_identity_provider_counts_where_people_sign_in_by_it() {
    let office = office().await;
    // The second application is the provider: both people have a second factor there, one of them twice.
    let config = office.server.instance(&office.tool, "config { key value }").await["config"][0]["value"].clone();
    let provider = office.server.integrate("tool", "Provider", &[("origin", config.as_str().unwrap())]).await;
    office.server.idle(&provider, "").await;
    let enforced = json!({ "signInEnforcedBy": [{ "instanceId": office.tool, "providerId": provider }] });
    let set = office
        .server
        .done("setReportSettings", enforced, "settings { signInEnforcedBy { instance { id } provider { name } } }")
        .await;
    assert_eq!(set["settings"]["signInEnforcedBy"][0]["provider"]["name"], "Provider");
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]));
    let mut stronger = vec![
        tool("weak", "p1@acme.example", json!({ "mfa": true })),
        tool("idle", "p2@acme.example", json!({ "mfa": null })),
    ];
    // The application itself is not synced again.
    office.application.write(stronger.clone());
    office.server.sync(&provider, "outcome").await;
    assert_eq!(office.findings("OPEN").await, names([]));
    assert_eq!(office.figures().await["mfa"], [1, 0, 1, 0], "of one it is not known");
    // Of two accounts there, the weakest counts.
    stronger.push(tool("second", "p1@acme.example", json!({ "mfa": false })));
    office.application.write(stronger);
    office.server.sync(&provider, "outcome").await;
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]));
    office.server.done("setReportSettings", json!({ "signInEnforcedBy": [] }), "").await;
    assert_eq!(office.findings("OPEN").await, names(["weak NO_MFA"]), "its own is missing, too");
    office.end().await;
}

#[tokio::test]
async fn reports_see_figures_and_nobody_and_viewers_change_nothing() {
    let office = office().await;
    let token = async |input: Value| {
        office.server.done("createApiToken", input, "token").await["token"].as_str().unwrap().to_owned()
    };
    let reports = token(json!({ "name": "reports", "role": "REPORTS" })).await;
    let viewer = token(json!({ "name": "viewer", "role": "VIEWER" })).await;
    let code = |answer: &Value| answer["errors"][0]["extensions"]["code"].clone();
    let figures =
        "{ posture { mfa { no basis { evaluatedAt } } } instances { nodes { posture { leavers { unknown } } } }
        reportSettings { inactiveDays } }";
    let seen = office.server.ask_as(&reports, figures, json!({})).await;
    assert_eq!(seen["data"]["posture"]["mfa"]["no"], 1, "{seen}");
    let list = "{ findings { nodes { id user { email } } } }";
    assert_eq!(code(&office.server.ask_as(&reports, list, json!({})).await), "FORBIDDEN");
    let seen = office.server.ask_as(&viewer, list, json!({})).await;
    assert_eq!(seen["data"]["findings"]["nodes"].as_array().unwrap().len(), 1, "{seen}");
    let id = office.finding("weak", "NO_MFA").await["id"].clone();
    let except = "mutation($input: ExceptFindingInput!) { exceptFinding(input: $input) { userErrors { code } } }";
    let input = json!({ "input": { "findingId": id, "reason": "A kiosk.", "until": ago(-1) } });
    assert_eq!(code(&office.server.ask_as(&viewer, except, input.clone()).await), "FORBIDDEN");
    // A token that is limited to the source sees nothing of the application.
    let scope = json!({ "instanceIds": [office.hr] });
    let limited = token(json!({ "name": "limited", "role": "OPERATOR", "scope": scope })).await;
    let seen = office
        .server
        .ask_as(&limited, "{ findings { totalCount nodes { id } } posture { mfa { no } } }", json!({}))
        .await;
    assert_eq!(
        seen["data"],
        json!({ "findings": { "totalCount": 0, "nodes": [] }, "posture": { "mfa": { "no": 0 } } })
    );
    let refused = office.server.ask_as(&limited, except, input.clone()).await;
    assert_eq!(refused["data"]["exceptFinding"]["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
    office.end().await;
}
