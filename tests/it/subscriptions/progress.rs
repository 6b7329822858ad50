use crate::support::Server;

#[tokio::test]
async fn progress_counts_up_during_a_run() {
    let server = Server::start().await;
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("p", "subscription { syncProgress { instanceId runId seen expected pages startedAt } }").await;
    // The subscription has started once a later query on the same socket has its response.
    socket.subscribe("q", "{ __typename }").await;
    while socket.next().await["type"] != "complete" {}
    let id = server.rehearse("Slow", &[("users", "400"), ("page_size", "10"), ("latency_ms", "60")]).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let frame = socket.next().await["payload"]["data"]["syncProgress"].clone();
        assert_eq!(frame["instanceId"], id.as_str());
        assert_eq!(frame["expected"], 400);
        seen.push(frame["seen"].as_i64().unwrap());
    }
    assert!(seen[0] < seen[1] && seen[1] <= 400, "{seen:?}");
}
