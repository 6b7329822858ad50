//! Connectors behind a proxy.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::support::{DEADLINE, Server};

#[tokio::test]
async fn https_requests_go_through_the_proxy_of_the_settings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let asked = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        line
    });
    let server = Server::builder().settings(|settings| settings.https_proxy = Some(proxy)).start().await;
    let create = "mutation($input: CreateInstanceInput!) { createInstance(input: $input) { userErrors { code } } }";
    let config = json!([
        { "key": "base_url", "value": "https://directory.example.com/scim" },
        { "key": "token", "value": "token-of-the-test" }
    ]);
    let input = json!({ "integrationKey": "scim", "name": "Acme", "config": config });
    let answer = server.ask(create, json!({ "input": input })).await;
    assert_eq!(answer["createInstance"]["userErrors"][0]["code"], "APPLICATION_UNREACHABLE", "{answer}");
    let line = tokio::time::timeout(DEADLINE, asked).await.expect("the proxy is asked").unwrap();
    assert_eq!(line.trim(), "CONNECT directory.example.com:443 HTTP/1.1");
}
