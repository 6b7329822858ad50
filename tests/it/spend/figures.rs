//! Every figure is computed again from the list of users, and must be equal.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{contract, counted, day, instance, licenses, set_price, spend};
use crate::findings::application::evaluated;
use crate::support::{Server, change};

const DAY_MS: i64 = 86_400_000;

/// All users of an instance.
async fn users(server: &Server, instance: &str) -> Vec<Value> {
    let query = "query($id: ID!, $after: String) { users(first: 100, after: $after, filter: { instanceId: $id }) {
        pageInfo { hasNextPage endCursor } nodes { status licenses lastActiveAt neverActive kind createdAt } } }";
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = server.ask(query, json!({ "id": instance, "after": after })).await["users"].take();
        found.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn time(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
}

/// What the holders of a licence are by its list of users: assigned, by status, suspended, inactive.
fn recount(users: &[Value], license: &str, activity_as_of: i64) -> Value {
    let holders = || users.iter().filter(|user| user["licenses"].as_array().unwrap().contains(&json!(license)));
    let of = |status: &str| holders().filter(|user| user["status"] == status).count();
    let end = activity_as_of - 90 * DAY_MS;
    let is_old = |user: &&Value| user["lastActiveAt"].is_string() && time(&user["lastActiveAt"]) < end;
    let people = || holders().filter(|user| user["kind"] == "HUMAN" && time(&user["createdAt"]) < end);
    let inactive = people().filter(|user| user["status"] == "ACTIVE").filter(is_old).count();
    let people = || people().filter(|user| user["status"] != "SUSPENDED");
    let never = people().filter(|user| user["neverActive"] == true).count();
    let silent = people().filter(|user| user["neverActive"].is_null()).count();
    // Without a people source, nobody says who has left.
    let strangers = holders().filter(|user| user["kind"] != "SERVICE" && user["kind"] != "SHARED").count();
    json!({
        "assigned": holders().count(),
        "holders": { "active": of("ACTIVE"), "suspended": of("SUSPENDED"), "invited": of("INVITED"), "unknown": of("UNKNOWN") },
        "reclaimable": { "count": of("SUSPENDED") + never + inactive, "unknown": silent, "parts": [
            { "reason": "LEFT", "count": 0, "unknown": strangers },
            { "reason": "SUSPENDED", "count": of("SUSPENDED"), "unknown": 0 },
            { "reason": "NEVER", "count": never, "unknown": silent },
            { "reason": "INACTIVE", "count": inactive, "unknown": silent },
        ] },
    })
}

fn assert_counted(license: &Value, users: &[Value]) -> i64 {
    let expected = recount(users, license["name"].as_str().unwrap(), time(&license["activityAsOf"]));
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&license[field], value, "{field} of {license:#}");
    }
    assert_eq!(license["unknownHolders"], 0);
    license["assigned"].as_i64().unwrap()
}

/// A decimal number with two places, in cents.
fn cents(value: &Value) -> i64 {
    let (whole, part) = value["amount"].as_str().unwrap().split_once('.').unwrap();
    assert_eq!(part.len(), 2, "{value}");
    whole.parse::<i64>().unwrap() * 100 + part.parse::<i64>().unwrap()
}

#[tokio::test]
async fn holders_are_counted_as_the_list_of_users_has_them_after_every_run() {
    let server = Server::start().await;
    let config = [("users", "320"), ("churn_percent", "5"), ("outcomes", "success,success,transient,partial")];
    let id = instance(&server, "Acme", &config).await;
    for run in 0..4 {
        let (found, users) = (licenses(&server, &id).await, users(&server, &id).await);
        assert_eq!(found.iter().map(|it| &it["name"]).collect::<Vec<_>>(), ["Basic", "Full"], "run {run}");
        let held: i64 = found.iter().map(|license| assert_counted(license, &users)).sum();
        assert_eq!(usize::try_from(held).unwrap(), users.len(), "run {run}: everybody has one licence");
        let mut parts = found.iter().flat_map(|license| license["reclaimable"]["parts"].as_array().unwrap());
        assert!(parts.all(|part| part["reason"] == "LEFT" || part["count"].as_i64().unwrap() > 0), "{found:#?}");
        server.sync(&id, "outcome").await;
        counted(&server).await;
    }
    let states = server.instance(&id, "capabilityStates { capability asOf }").await;
    let states: BTreeMap<_, _> = states["capabilityStates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| (state["capability"].as_str().unwrap(), &state["asOf"]))
        .collect();
    for license in licenses(&server, &id).await {
        assert_eq!((&license["asOf"], &license["activityAsOf"]), (states["LICENSES"], states["LAST_ACTIVITY"]));
    }
}

#[tokio::test]
async fn deleted_users_hold_nothing_from_that_moment_on_and_a_deleted_instance_leaves_nothing() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "60")]).await;
    set_price(&server, &id, "Full", json!({ "currency": "EUR", "unitPrice": "10.00" })).await;
    server.done("upsertContract", contract(&id, "Order", "EUR", &json!([{ "license": "Full", "seats": 9 }])), "").await;
    server.done("deleteAllUsers", json!({ "instanceId": id, "acknowledgeIrreversible": true }), "").await;
    for license in licenses(&server, &id).await {
        assert!(license["assigned"].is_null() || license["assigned"] == 0, "{license}");
        assert_eq!(license["seats"], 9, "the contract is still there");
    }
    counted(&server).await;
    let left = licenses(&server, &id).await;
    assert_eq!((left.len(), &left[0]["name"]), (1, &json!("Full")));
    assert_eq!(
        (&left[0]["assigned"], &left[0]["free"]),
        (&Value::Null, &Value::Null),
        "no run has listed anybody since"
    );
    server.sync(&id, "outcome").await;
    counted(&server).await;
    assert_eq!(licenses(&server, &id).await.len(), 2);

    server.done("deleteInstance", json!({ "id": id, "acknowledgeIrreversible": true }), "").await;
    let all = server
        .ask("{ licenses { totalCount } renewals(filter: { includeEnded: true }) { totalCount } }", json!({}))
        .await;
    assert_eq!(all, json!({ "licenses": { "totalCount": 0 }, "renewals": { "totalCount": 0 } }));
    assert_eq!(spend(&server, "LICENSE").await["totals"], json!([]));
    counted(&server).await;
    for table in ["license_count", "license_group", "license_tally", "price", "contract", "contract_line"] {
        let rows = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}");
        assert_eq!(crate::support::one(&server.place.location(), &rows).await, "0", "{table}");
    }
}

/// The unit price of a year in cents, as a fraction.
type Fraction = (i64, i64);

/// Rounds a product with a fraction; half is rounded up.
fn rounded((amount, of): Fraction, quantity: i64) -> i64 {
    (2 * amount * quantity + of) / (2 * of)
}

/// Prices and contracts of two instances.
async fn price_and_contract(server: &Server, acme: &str, bolt: &str) {
    // Without a contract: 100.00 for 7 seats for 5 months. With one: 33.33 a month. Beyond the seats: a total for 10.
    set_price(
        server,
        acme,
        "Full",
        json!({ "currency": "EUR", "totalPrice": "100.00", "seats": 7, "billingMonths": 5 }),
    )
    .await;
    set_price(server, acme, "Basic", json!({ "currency": "EUR", "unitPrice": "33.33", "billingMonths": 1 })).await;
    server
        .done("upsertContract", contract(acme, "Seats", "USD", &json!([{ "license": "Basic", "seats": 1_000 }])), "")
        .await;
    let beyond = json!([{ "license": "Full", "seats": 10, "totalPrice": "99.99" }]);
    server.done("upsertContract", contract(bolt, "Few", "USD", &beyond), "").await;
    // One that is over, and one that has not begun.
    let line = json!([{ "license": "Full", "seats": 5_000, "unitPrice": "1000.00" }]);
    for (name, from, to) in [("Over", -30, -1), ("Later", 1, 30)] {
        let input = json!({ "instanceId": bolt, "name": name, "currency": "EUR", "startsOn": day(from), "endsOn": day(to), "lines": line });
        server.done("upsertContract", input, "").await;
    }
}

/// The groups of a report are its totals.
fn adds_up(report: &Value) {
    for total in report["totals"].as_array().unwrap() {
        for part in ["amount", "held", "freeSeats", "unknownHolders"] {
            let own = report["buckets"]["nodes"].as_array().unwrap().iter();
            let own = own.filter(|bucket| bucket["amount"]["currency"] == total["currency"]);
            assert_eq!(own.map(|bucket| cents(&bucket[part])).sum::<i64>(), cents(&total[part]), "{part}: {report:#}");
        }
    }
}

/// The list of licences has the same figures.
async fn listed_alike(server: &Server, acme: &str, bolt: &str, (full, few): (i64, i64)) {
    let of = async |id: &str, name: &str| {
        let found = licenses(server, id).await;
        found.into_iter().find(|license| license["name"] == name).unwrap()
    };
    let over = of(bolt, "Full").await;
    assert_eq!((&over["seats"], &over["free"], &over["over"]), (&json!(10), &json!(0), &json!(few - 10)));
    let free = of(acme, "Basic").await;
    assert_eq!(
        (&free["seats"], &free["free"], &free["over"]),
        (&json!(1_000), &json!(1_000 - (200 - full)), &json!(0))
    );
    let without = of(acme, "Full").await;
    assert_eq!((&without["seats"], &without["free"], &without["over"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(cents(&without["annualCosts"][0]), rounded((10_000 * 12, 7 * 5), full));
}

#[tokio::test]
async fn costs_are_those_of_the_users_seats_and_prices_and_add_up() {
    let server = Server::start().await;
    let (acme, bolt) =
        (instance(&server, "Acme", &[("users", "200")]).await, instance(&server, "Bolt", &[("users", "45")]).await);
    price_and_contract(&server, &acme, &bolt).await;
    let holders = async |id: &str, license: &str| {
        let users = users(&server, id).await;
        i64::try_from(users.iter().filter(|user| user["licenses"] == json!([license])).count()).unwrap()
    };
    let full = holders(&acme, "Full").await;
    let few = holders(&bolt, "Full").await;
    assert!(few > 10, "more than there are seats");
    // In cents of a year: total, and the part that is held.
    let expected = BTreeMap::from([
        (("EUR", "Acme", "Full"), (rounded((10_000 * 12, 7 * 5), full), full)),
        (("EUR", "Acme", "Basic"), (rounded((3_333 * 12, 1), 1_000), 1_000)),
        (("USD", "Bolt", "Full"), (rounded((9_999, 10), few), few)),
    ]);
    let by_license = spend(&server, "LICENSE").await;
    let mut seen = BTreeMap::new();
    for bucket in by_license["buckets"]["nodes"].as_array().unwrap() {
        let text = |value: &'_ Value| value.as_str().unwrap().to_owned();
        let key = (text(&bucket["amount"]["currency"]), text(&bucket["instance"]["name"]), text(&bucket["license"]));
        let parts = ["held", "freeSeats", "unknownHolders"].map(|part| cents(&bucket[part]));
        assert_eq!(parts.iter().sum::<i64>(), cents(&bucket["amount"]), "{bucket:#}");
        seen.insert(key, (cents(&bucket["amount"]), bucket["quantity"].as_i64().unwrap()));
    }
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|((currency, instance, license), value)| {
            ((currency.to_owned(), instance.to_owned(), license.to_owned()), value)
        })
        .collect();
    assert_eq!(seen, expected);
    let unpriced =
        json!([{ "instance": { "name": "Bolt" }, "license": "Basic", "reason": "NO_PRICE", "quantity": 45 - few }]);
    assert_eq!(by_license["unpriced"], json!({ "totalCount": 1, "nodes": unpriced }));

    let by_application = spend(&server, "APPLICATION").await;
    for report in [&by_license, &by_application] {
        assert_eq!(report["totals"], by_license["totals"]);
        adds_up(report);
    }
    let rows = by_application["buckets"]["nodes"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["integration"]["key"] == "rehearsal" && row["license"].is_null()), "{rows:#?}");
    assert_eq!(rows.len(), 2, "one for each currency");

    listed_alike(&server, &acme, &bolt, (full, few)).await;
}

#[tokio::test]
async fn the_users_that_there_are_at_an_upgrade_are_counted() {
    let server = Server::start().await;
    let id = instance(&server, "Acme", &[("users", "60")]).await;
    let plain = |licenses: Vec<Value>| {
        licenses.into_iter().map(|it| (it["name"].clone(), it["assigned"].clone())).collect::<Vec<_>>()
    };
    evaluated(&server).await;
    counted(&server).await;
    let before = plain(licenses(&server, &id).await);
    assert_eq!(before, [(json!("Basic"), json!(40)), (json!("Full"), json!(20))]);
    // As an earlier version has left it.
    for table in
        ["license_group", "license_tally", "license_count", "price", "contract", "contract_line", "contract_reminder"]
    {
        change(&server.db, &format!("DROP TABLE {table}")).await;
    }
    change(&server.db, "DELETE FROM seaql_migrations WHERE version LIKE '%_spend'").await;
    let place = server.stop().await;
    let server = Server::builder().place(place).start().await;
    counted(&server).await;
    assert_eq!(plain(licenses(&server, &id).await), before);
}
