//! The number of statements of a query does not grow with the number of rows.

use serde_json::{Value, json};

use crate::support::Server;

/// The number of statements of one query: the smallest of several tries, because workers execute some
/// now and then, too (schedules, leases). The tries differ, so that none is answered with what another was.
async fn statements(server: &Server, query: &str, variables: &Value) -> u64 {
    let mut least = u64::MAX;
    for number in 0..8 {
        let query = format!("{query} # {number}");
        let before = server.db.statements();
        server.ask(&query, variables.clone()).await;
        least = least.min(server.db.statements() - before);
    }
    least
}

/// A server with `count` instances, and with rows in every list.
async fn server_with_lists(count: usize) -> Server {
    let server = Server::start().await;
    server.done("setRecipients", json!({ "emails": ["grace@example.com"] }), "").await;
    for number in 0..count {
        let outcomes = if number % 3 == 0 { "success,transient" } else { "success" };
        let id = server
            .rehearse(&format!("number {number}"), &[("users", "20"), ("churn_percent", "10"), ("outcomes", outcomes)])
            .await;
        server.idle(&id, "").await;
        server.sync(&id, "id").await;
        let price = json!({ "currency": "EUR", "unitPrice": "12.00" });
        server.done("setPrice", json!({ "instanceId": id, "license": "Full", "price": price }), "").await;
        let contract = json!({ "instanceId": id, "name": "Order", "currency": "EUR", "startsOn": "2026-01-01", "endsOn": "2900-01-01",
            "lines": [{ "license": "Full", "seats": 3 }] });
        server.done("upsertContract", contract, "").await;
        server
            .done(
                "testConnection",
                json!({ "instanceId": id, "config": [{ "key": "outcomes", "value": "success" }] }),
                "",
            )
            .await;
    }
    server
}

const RUN: &str = "id trigger outcome seen mailDecision { kind } failure { message } wouldRemove(first: 2) { totalCount nodes { email } }";

fn lists() -> [String; 12] {
    let instances = format!(
        "id name status health headline needsAttention freshness {{ state }} notice {{ title }} config {{ key value }} userCount
        integration {{ name instanceCount userCount }} lastSync {{ {RUN} instance {{ name }} }} currentSync {{ {RUN} instance {{ name }} }}
        syncHistory(first: 2) {{ totalCount nodes {{ {RUN} instance {{ name }} changes(first: 2) {{ totalCount nodes {{ kind user {{ email instance {{ name }} }} }} }} }} }}
        users(first: 2) {{ totalCount nodes {{ email instance {{ name integration {{ name }} }} }} }}
        events(first: 2) {{ totalCount nodes {{ cause instance {{ name lastSync {{ id }} integration {{ instanceCount }} }} }} }}"
    );
    [
        format!("instances(first: COUNT) {{ totalCount nodes {{ {instances} }} }}"),
        format!("syncHistory(first: COUNT) {{ totalCount nodes {{ {RUN} instance {{ name integration {{ name userCount }} lastSync {{ id }} }} changes(first: 2) {{ totalCount nodes {{ user {{ instance {{ name }} }} }} }} }} }}"),
        "instanceEvents(first: COUNT) { totalCount nodes { cause actor instance { name lastSync { id } integration { instanceCount } } } }".into(),
        "users(first: COUNT) { totalCount nodes { email instance { name integration { name instanceCount } currentSync { id } lastSync { id } } } }".into(),
        "auditLog(first: COUNT) { totalCount nodes { detail instance { name integration { name } lastSync { id } } } }".into(),
        "notifications(first: COUNT) { totalCount nodes { address instance { name integration { name } } standsFor(first: 2) { totalCount nodes { name lastSync { id } } } run { id instance { name } } } }".into(),
        "integrations(first: COUNT) { totalCount nodes { name instanceCount userCount instanceCounts { total needsAttention } instances(first: 3) { totalCount nodes { name lastSync { id } users(first: 1) { totalCount } } } } }".into(),
        "integrations(first: 3) { nodes { instances(first: COUNT) { nodes { name lastSync { id } users(first: 1) { totalCount nodes { id } } } } } }".into(),
        "licenses(first: COUNT) { totalCount nodes { name assigned annualCosts { amount } price { seats } instance { name integration { name } } } }".into(),
        "renewals(first: COUNT) { totalCount nodes { name annualCost { amount } lines { seats } reminders { mails } instance { name integration { name } } } }".into(),
        "spend(groupBy: LICENSE) { totals { amount { amount } } buckets(first: COUNT) { totalCount nodes { license amount { amount } instance { name } integration { name } } }
            unpriced(first: COUNT) { totalCount nodes { license quantity instance { name } } } }".into(),
        "instances(first: COUNT) { edges { node { users(first: 1) { edges { node { instance { syncHistory(first: 1) { nodes { id } } } } } } } } }".into(),
    ]
}

#[tokio::test]
async fn a_list_needs_no_more_statements_for_more_rows() {
    let server = server_with_lists(12).await;
    for list in lists() {
        let few = statements(&server, &format!("{{ {} }}", list.replace("COUNT", "2")), &json!({})).await;
        let many = statements(&server, &format!("{{ {} }}", list.replace("COUNT", "12")), &json!({})).await;
        assert!(many <= few, "{few} statements became {many}: {list}");
        assert!(many <= 25, "{many} statements: {list}");
    }
}

#[tokio::test]
async fn a_total_needs_a_statement_only_if_it_is_selected() {
    let server = server_with_lists(2).await;
    for list in ["instances", "users", "syncHistory", "notifications"] {
        let without = statements(&server, &format!("{{ {list} {{ nodes {{ id }} }} }}"), &json!({})).await;
        let with = statements(&server, &format!("{{ {list} {{ totalCount nodes {{ id }} }} }}"), &json!({})).await;
        assert_eq!((without, with), (1, 2), "{list}");
    }
    for list in ["users", "syncHistory", "events"] {
        let of = |fields: &str| format!("{{ instances {{ nodes {{ {list}(first: 1) {{ {fields} }} }} }} }}");
        let without = statements(&server, &of("nodes { __typename }"), &json!({})).await;
        let with = statements(&server, &of("totalCount nodes { __typename }"), &json!({})).await;
        assert_eq!((without, with), (2, 3), "{list}");
    }
}
