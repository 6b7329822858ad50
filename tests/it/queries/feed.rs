//! The feed of changes of users.

use muster::auth::tokens::NewToken;
use muster::auth::{Role, Scope};
use serde_json::{Value, json};

use crate::access::scope::key;
use crate::support::{Client, Server};

const PART: &str = "query($first: Int, $after: String) { userChanges(first: $first, after: $after) {
    nodes { kind at fields user { id instance { id } } } cursor hasMore } }";

/// Everything after a cursor, in parts of `first` changes, and the cursor behind it.
async fn rest(client: &Client, token: &str, first: u64, after: Value) -> (Vec<Value>, Value) {
    let (mut found, mut after) = (Vec::new(), after);
    loop {
        let answer = client.ask_as(token, PART, json!({ "first": first, "after": after })).await;
        let part = &answer["data"]["userChanges"];
        let nodes = part["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(nodes.len() as u64 <= first);
        found.extend(nodes.clone());
        after = part["cursor"].clone();
        if part["hasMore"] == false {
            return (found, after);
        }
    }
}

/// What the runs of instances say that they changed, in the order in which they ended: one after another.
async fn told(server: &Server, ids: &[&str]) -> Vec<Value> {
    let mut runs = Vec::new();
    for id in ids {
        runs.extend(server.runs(id, "id finishedAt").await);
    }
    runs.sort_by_key(|run| run["finishedAt"].as_str().unwrap().to_owned());
    let changes = "query($id: ID!) { syncRun(id: $id) { changes(first: 100) { nodes { kind at fields user { id instance { id } } } } } }";
    let mut found = Vec::new();
    for run in runs {
        let answer = server.ask(changes, json!({ "id": run["id"] })).await;
        found.extend(answer["syncRun"]["changes"]["nodes"].as_array().unwrap().clone());
    }
    found
}

#[tokio::test]
async fn each_change_comes_once_and_in_the_same_order_for_everybody() {
    let server = Server::start().await;
    let (_, start) = rest(&server, &server.viewer, 20, Value::Null).await;
    let one = server.rehearse("One", &[("users", "30"), ("churn_percent", "30")]).await;
    server.idle(&one, "").await;
    let two =
        server.rehearse("Two", &[("users", "20"), ("churn_percent", "30"), ("outcomes", "success,transient")]).await;
    server.idle(&two, "").await;
    for id in [&one, &two, &one, &two, &one] {
        server.sync(id, "id").await;
    }
    let expected = told(&server, &[&one, &two]).await;
    assert!(expected.len() > 60, "{}", expected.len());
    for first in [1, 7, 100] {
        let (found, end) = rest(&server, &server.viewer, first, start.clone()).await;
        assert_eq!(found, expected, "in parts of {first}");
        assert_eq!(rest(&server, &server.viewer, first, Value::Null).await.0, expected, "from the beginning");
        let (nothing, still) = rest(&server, &server.viewer, first, end.clone()).await;
        assert_eq!((nothing.len(), &still), (0, &end));
    }

    let (_, end) = rest(&server, &server.viewer, 100, Value::Null).await;
    server.sync(&one, "id").await;
    let (new, _) = rest(&server, &server.viewer, 3, end).await;
    assert!(!new.is_empty() && new.iter().all(|change| change["user"]["instance"]["id"] == one.as_str()), "{new:?}");

    let scope = Scope { instances: [key(&two)].into(), ..Scope::default() };
    let limited = NewToken { scope: Some(scope), ..NewToken::new("limited", Role::Viewer) };
    let limited = server.tokens.create(limited).await.unwrap().text;
    let own: Vec<_> =
        expected.iter().filter(|change| change["user"]["instance"]["id"] == two.as_str()).cloned().collect();
    assert_eq!(rest(&server, &limited, 4, Value::Null).await.0, own, "a limited token");

    server.done("deleteAllUsers", json!({ "instanceId": one, "acknowledgeIrreversible": true }), "").await;
    assert_eq!(rest(&server, &server.viewer, 5, start).await.0, own, "of accounts that are not deleted");
}

/// Instances sync side by side while somebody reads.
#[tokio::test]
async fn nothing_is_missed_while_runs_end_side_by_side() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let config = [("users", "40"), ("churn_percent", "20"), ("page_size", "10")];
        ids.push(server.rehearse(&format!("Acme {number}"), &config).await);
    }
    let syncs = async {
        for _ in 0..3 {
            for id in &ids {
                server.idle(id, "").await;
                server.done("syncInstance", json!({ "id": id }), "").await;
            }
        }
        for id in &ids {
            server.idle(id, "").await;
        }
    };
    let reading = async {
        let (mut found, mut after) = (Vec::new(), Value::Null);
        let mut syncs = std::pin::pin!(syncs);
        loop {
            let ended = tokio::time::timeout(std::time::Duration::from_millis(20), syncs.as_mut()).await.is_ok();
            let (new, cursor) = rest(&server, &server.viewer, 9, after).await;
            (found, after) = ([found, new].concat(), cursor);
            if ended {
                return found;
            }
        }
    };
    let found = reading.await;
    let again = rest(&server, &server.viewer, 100, Value::Null).await.0;
    assert_eq!(found, again);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let sorted = |changes: &[Value]| {
        let mut texts: Vec<_> = changes.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    assert_eq!(sorted(&found), sorted(&told(&server, &ids).await));
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused() {
    let server = Server::start().await;
    let events = server.ask("{ eventCursor }", json!({})).await["eventCursor"].clone();
    for cursor in [events, json!(""), json!("Y3h4LjBAMQ"), json!("YzEuMEA3")] {
        let answer = server.ask_as(&server.viewer, PART, json!({ "after": cursor })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{cursor}: {answer}");
    }
    for first in [0, 101] {
        let answer = server.ask_as(&server.viewer, PART, json!({ "first": first })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{first}: {answer}");
    }
}
