//! A graceful stop: jobs are released, subscribers are notified, and a restart continues the work.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Home, Program};

/// How long a graceful stop may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A server with a sync in the middle of forty pages.
async fn in_the_middle_of_a_sync(home: &Home, token: &str) -> (Program, String) {
    let program = home.serve(token).await;
    let config = [("users", "2000"), ("page_size", "50"), ("latency_ms", "100")];
    let id = program.client.rehearse("Acme", &config).await;
    program.client.until(&id, "currentSync { seen }", |found| found["currentSync"]["seen"].as_i64() >= Some(200)).await;
    (program, id)
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_sync_gives_it_back_and_the_next_start_goes_on_with_it() {
    let home = Home::new();
    let token = home.token();
    let (mut program, id) = in_the_middle_of_a_sync(&home, &token).await;
    program.terminate();
    assert_eq!(program.ended(WITHIN).await.code(), Some(0), "{}", home.log());
    assert_eq!(home.one("SELECT CAST(count(*) AS TEXT) FROM job").await, "1");
    assert_eq!(
        home.one("SELECT 'take-overs ' || take_overs || ', lease ' || lease_until FROM job").await,
        "take-overs 0, lease 0",
        "the run was given back, not left behind"
    );
    let stored = home.one("SELECT CAST(seen AS TEXT) FROM sync_run").await.parse::<i64>().unwrap();
    assert!((200..2000).contains(&stored), "{stored}");

    let program = home.serve(&token).await;
    let fields = "health userCount syncHistory { totalCount } lastSync { outcome seen added failure { message } }";
    let instance = program.client.idle(&id, fields).await;
    let run = json!({ "outcome": "SUCCEEDED", "seen": 2000, "added": 2000, "failure": null });
    assert_eq!((&instance["lastSync"], &instance["userCount"]), (&run, &json!(2000)));
    assert_eq!(instance["syncHistory"]["totalCount"], 1);
    assert!(home.log().contains("continues where it was interrupted"), "{}", home.log());
    home.assert_intact().await;
}

#[tokio::test]
async fn a_stop_closes_web_sockets_as_going_away() {
    let home = Home::new();
    let token = home.token();
    let (mut program, _) = in_the_middle_of_a_sync(&home, &token).await;
    let mut request = format!("ws://127.0.0.1:{}/graphql", home.port).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {token}") } });
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": "subscription { instanceStateChanged { cause } }" } });
    for message in [init, subscribe] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    let mut events = 0;
    let close = async {
        while let Some(message) = socket.next().await {
            match message.unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    events += usize::from(message["type"] == "next");
                    if events == 1 {
                        program.terminate();
                    }
                }
                Message::Close(frame) => return frame,
                _ => {}
            }
        }
        panic!("the connection ended without a close frame");
    };
    let frame = tokio::time::timeout(WITHIN, close).await.unwrap().unwrap();
    assert_eq!(frame.code, CloseCode::Away);
    assert!(events > 0);
    drop(socket);
    assert_eq!(program.ended(WITHIN).await.code(), Some(0), "{}", home.log());
}

#[tokio::test]
async fn a_stop_during_a_deletion_leaves_the_rest_of_it_to_the_next_start() {
    let home = Home::new();
    let token = home.token();
    let mut program = home.serve(&token).await;
    let id = program.client.rehearse("Acme", &[("users", "10000"), ("page_size", "5000")]).await;
    program.client.idle(&id, "").await;
    let deletion = "mutation($id: ID!) { deleteInstance(input: { id: $id, acknowledgeIrreversible: true }) { userErrors { code } } }";
    program.client.ask(deletion, json!({ "id": id })).await;
    program.terminate();
    assert_eq!(program.ended(WITHIN).await.code(), Some(0), "{}", home.log());

    let program = home.serve(&token).await;
    program.client.until(&id, "status", |found| found["status"] == "DELETED").await;
    assert_eq!(home.one("SELECT CAST(count(*) AS TEXT) FROM user_account").await, "0");
    // The name is free again, and jobs are worked on.
    let again = program.client.rehearse("Acme", &[("users", "10")]).await;
    assert_eq!(program.client.idle(&again, "userCount").await["userCount"], 10);
}
