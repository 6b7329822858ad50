//! What a query costs: its statements are counted, and do not grow with the rows.

use serde_json::{Value, json};

use crate::support::Server;

/// The statements of one query. Others run beside it now and then (schedules, leases),
/// so it is asked several times and the least counts.
async fn statements(server: &Server, query: &str, variables: &Value) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..8 {
        let before = server.db.statements();
        server.ask(query, variables.clone()).await;
        least = least.min(server.db.statements() - before);
    }
    least
}

/// Two servers' worth of lists: few rows, and many of them.
async fn filled(count: usize) -> Server {
    let server = Server::start().await;
    server.done("setRecipients", json!({ "emails": ["grace@example.com"] }), "").await;
    for number in 0..count {
        let outcomes = if number % 3 == 0 { "success,transient" } else { "success" };
        let id = server
            .rehearse(&format!("number {number}"), &[("users", "20"), ("churn_percent", "10"), ("outcomes", outcomes)])
            .await;
        server.idle(&id, "").await;
        server.sync(&id, "id").await;
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

const RUN: &str = "id trigger outcome seen mailDecision { kind } failure { message }";

fn lists() -> [String; 8] {
    let instances = format!(
        "id name status health freshness {{ state }} notice {{ title }} config {{ key value }} userCount
        integration {{ name instanceCount userCount }} lastSync {{ {RUN} instance {{ name }} }} currentSync {{ {RUN} instance {{ name }} }}
        syncHistory(first: 2) {{ totalCount nodes {{ {RUN} instance {{ name }} changes(first: 2) {{ totalCount nodes {{ kind user {{ email instance {{ name }} }} }} }} }} }}
        users(first: 2) {{ totalCount nodes {{ email instance {{ name integration {{ name }} }} }} }}
        events(first: 2) {{ totalCount nodes {{ cause instance {{ name lastSync {{ id }} integration {{ instanceCount }} }} }} }}"
    );
    [
        format!("instances(first: COUNT) {{ totalCount nodes {{ {instances} }} }}"),
        format!("syncHistory(first: COUNT) {{ totalCount nodes {{ {RUN} instance {{ name integration {{ name userCount }} lastSync {{ id }} }} changes(first: 2) {{ totalCount nodes {{ user {{ instance {{ name }} }} }} }} }} }}"),
        "users(first: COUNT) { totalCount nodes { email instance { name integration { name instanceCount } currentSync { id } lastSync { id } } } }".into(),
        "auditLog(first: COUNT) { totalCount nodes { detail instance { name integration { name } lastSync { id } } } }".into(),
        "notifications(first: COUNT) { totalCount nodes { address instance { name integration { name } } run { id instance { name } } } }".into(),
        "integrations(first: COUNT) { totalCount nodes { name instanceCount userCount instances(first: 3) { totalCount nodes { name lastSync { id } users(first: 1) { totalCount } } } } }".into(),
        "integrations(first: 3) { nodes { instances(first: COUNT) { nodes { name lastSync { id } users(first: 1) { totalCount nodes { id } } } } } }".into(),
        "instances(first: COUNT) { edges { node { users(first: 1) { edges { node { instance { syncHistory(first: 1) { nodes { id } } } } } } } } }".into(),
    ]
}

#[tokio::test]
async fn the_statements_of_a_list_do_not_grow_with_its_rows() {
    let server = filled(12).await;
    for list in lists() {
        let few = statements(&server, &format!("{{ {} }}", list.replace("COUNT", "2")), &json!({})).await;
        let many = statements(&server, &format!("{{ {} }}", list.replace("COUNT", "12")), &json!({})).await;
        assert!(many <= few, "{few} statements became {many}: {list}");
        assert!(many <= 25, "{many} statements: {list}");
    }
}

#[tokio::test]
async fn a_total_costs_a_statement_only_when_it_is_asked_for() {
    let server = filled(2).await;
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
