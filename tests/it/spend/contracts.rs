//! Contracts: creating, changing and deleting them.

use serde_json::{Value, json};

use super::{contract, day, instance, licenses};
use crate::support::Server;

const CONTRACT: &str =
    "id name currency billingMonths startsOn endsOn noticeDays noticeBy daysToNotice state revision createdBy
    annualCost { amount currency } lines { license seats unitPrice totalPrice } reminders { daysBefore mails }";

async fn upsert(server: &Server, input: Value) -> Value {
    server.done("upsertContract", input, &format!("contract {{ {CONTRACT} }}")).await["contract"].take()
}

#[tokio::test]
async fn a_contract_is_written_as_a_whole() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "30")]).await;
    let lines = json!([
        { "license": "Full", "seats": 12, "unitPrice": "19.90" },
        { "license": "Basic", "seats": 3, "totalPrice": "100.00" },
        { "license": "Premium", "seats": 0 },
    ]);
    let mut input = contract(&id, "Order 1", "eur", &lines);
    input["noticeDays"] = json!(60);
    input["billingMonths"] = json!(1);
    let made = upsert(&server, input.clone()).await;
    let expected = json!({
        "id": made["id"], "name": "Order 1", "currency": "EUR", "billingMonths": 1, "startsOn": day(-10), "endsOn": day(300),
        "noticeDays": 60, "noticeBy": day(240), "daysToNotice": 240, "state": "ACTIVE", "revision": 1,
        "createdBy": "ada@example.com", "annualCost": { "amount": "4065.60", "currency": "EUR" },
        "lines": [
            { "license": "Full", "seats": 12, "unitPrice": "19.90", "totalPrice": null },
            { "license": "Basic", "seats": 3, "unitPrice": null, "totalPrice": "100.00" },
            { "license": "Premium", "seats": 0, "unitPrice": null, "totalPrice": null },
        ],
        "reminders": [],
    });
    assert_eq!(made, expected);
    let named: Vec<_> =
        licenses(&server, &id).await.into_iter().map(|it| (it["name"].clone(), it["seats"].clone())).collect();
    assert_eq!(named, [(json!("Basic"), json!(3)), (json!("Full"), json!(12)), (json!("Premium"), json!(0))]);

    input["id"] = made["id"].clone();
    input["name"] = json!("Order 2");
    input["lines"] = json!([{ "license": "Full", "seats": 20 }]);
    input["expectedRevision"] = json!(1);
    let changed = upsert(&server, input.clone()).await;
    assert_eq!((&changed["id"], &changed["name"], &changed["revision"]), (&made["id"], &json!("Order 2"), &json!(2)));
    assert_eq!((&changed["lines"].as_array().unwrap().len(), &changed["annualCost"]), (&1, &Value::Null));
    let stale = server.refused("upsertContract", input).await;
    assert_eq!(stale, [("REVISION_CONFLICT".to_owned(), json!(["expectedRevision"]))]);

    let gone = server.done("deleteContract", json!({ "id": made["id"] }), "id").await;
    assert_eq!(gone["id"], made["id"]);
    let again = server.refused("deleteContract", json!({ "id": made["id"] })).await;
    assert_eq!(again, [("NOT_FOUND".to_owned(), json!(["id"]))]);
    assert!(licenses(&server, &id).await.iter().all(|license| license["seats"].is_null()));
    let actions = "[CONTRACT_CREATED, CONTRACT_UPDATED, CONTRACT_DELETED]";
    let query = format!(
        "{{ auditLog(first: 10, filter: {{ actions: {actions} }}) {{ nodes {{ action outcome subjectName }} }} }}"
    );
    let entries = server.ask(&query, json!({})).await["auditLog"]["nodes"].take();
    let entry = |action: &str, outcome: &str, name: Option<&str>| json!({ "action": action, "outcome": outcome, "subjectName": name });
    let entries = entries.as_array().unwrap();
    assert_eq!(entries[1], entry("CONTRACT_DELETED", "OK", Some("Acme")));
    assert_eq!((&entries[0]["outcome"], &entries[0]["action"]), (&json!("REFUSED"), &json!("CONTRACT_DELETED")));
    assert_eq!(entries.last().unwrap(), &entry("CONTRACT_CREATED", "OK", Some("Acme")));
}

#[tokio::test]
async fn a_wrong_contract_is_refused_at_its_field() {
    let server = Server::start().await;
    let (id, other) =
        (instance(&server, "Acme", &[("users", "3")]).await, instance(&server, "Bolt", &[("users", "3")]).await);
    let good = contract(&id, "Order", "EUR", &json!([{ "license": "Full", "seats": 5 }]));
    let made = upsert(&server, good.clone()).await;
    let line = |line: Value| json!([{ "license": "A", "seats": 1 }, line]);
    let at = |path: &[&str]| ("INVALID_INPUT".to_owned(), json!(path));
    for (field, value, expected) in [
        ("name", json!(" "), at(&["name"])),
        ("currency", json!("ABC"), at(&["currency"])),
        ("billingMonths", json!(0), at(&["billingMonths"])),
        ("endsOn", json!(day(-11)), at(&["endsOn"])),
        ("noticeDays", json!(-1), at(&["noticeDays"])),
        ("noticeDays", json!(731), at(&["noticeDays"])),
        ("noticeDays", json!(311), at(&["noticeDays"])),
        ("endsOn", json!("9999-12-31"), at(&["endsOn"])),
        ("lines", json!([]), at(&["lines"])),
        ("lines", line(json!({ "license": "", "seats": 1 })), at(&["lines", "1", "license"])),
        ("lines", line(json!({ "license": "A", "seats": 1 })), at(&["lines", "1", "license"])),
        ("lines", line(json!({ "license": "B", "seats": -1 })), at(&["lines", "1", "seats"])),
        ("lines", line(json!({ "license": "B", "seats": 0, "totalPrice": "1" })), at(&["lines", "1", "seats"])),
        ("lines", line(json!({ "license": "B", "seats": 1, "unitPrice": "x" })), at(&["lines", "1", "unitPrice"])),
        (
            "lines",
            line(json!({ "license": "B", "seats": 1, "unitPrice": "1", "totalPrice": "1" })),
            at(&["lines", "1", "totalPrice"]),
        ),
        ("instanceId", json!(other), at(&["instanceId"])),
        ("name", json!("ORDER"), ("NAME_TAKEN".to_owned(), json!(["name"]))),
    ] {
        let mut input = good.clone();
        input[field] = value;
        if field == "instanceId" {
            input["id"] = made["id"].clone();
        }
        assert_eq!(server.refused("upsertContract", input.clone()).await, [expected], "{input}");
    }
    for bad in ["2026-13-01", "2026-1-1", "tomorrow", "2026-02-30"] {
        let mut input = good.clone();
        input["startsOn"] = json!(bad);
        let query = "mutation($input: UpsertContractInput!) { upsertContract(input: $input) { userErrors { code } } }";
        assert_eq!(server.error_code(query, json!({ "input": input })).await, "BAD_USER_INPUT", "{bad}");
    }
    // Another instance may have one of the same name.
    upsert(&server, contract(&other, "Order", "EUR", &json!([{ "license": "Full", "seats": 5 }]))).await;
}

#[tokio::test]
async fn contracts_are_listed_by_the_last_day_for_notice() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "3")]).await;
    for (name, from, to, notice) in
        [("late", 0, 400, 10), ("over", -90, -1, 0), ("soon", -90, 200, 190), ("later", 5, 60, 0)]
    {
        let input = json!({ "instanceId": id, "name": name, "currency": "EUR", "startsOn": day(from), "endsOn": day(to),
            "noticeDays": notice, "lines": [{ "license": "Full", "seats": 1 }] });
        server.done("upsertContract", input, "").await;
    }
    let names = async |filter: Value| {
        let query =
            "query($after: String, $filter: RenewalFilter) { renewals(first: 1, after: $after, filter: $filter) {
            totalCount pageInfo { hasNextPage endCursor } nodes { name state } } }";
        let (mut found, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = server.ask(query, json!({ "filter": filter, "after": after })).await["renewals"].take();
            found.extend(
                page["nodes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| format!("{} {}", it["name"], it["state"]).replace('"', "")),
            );
            if page["pageInfo"]["hasNextPage"] == false {
                assert_eq!(page["totalCount"], found.len());
                return found;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    };
    assert_eq!(names(Value::Null).await, ["soon ACTIVE", "later UPCOMING", "late ACTIVE"]);
    assert_eq!(
        names(json!({ "includeEnded": true })).await,
        ["over ENDED", "soon ACTIVE", "later UPCOMING", "late ACTIVE"]
    );
    assert_eq!(names(json!({ "noticeBy": day(60) })).await, ["soon ACTIVE", "later UPCOMING"]);
    assert_eq!(names(json!({ "integrationKeys": ["slack"] })).await, Vec::<String>::new());
}
