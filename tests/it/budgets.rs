//! What one token's clients, and one address, may use.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use muster::auth::Role;
use muster::auth::tokens::{Allowance, NewToken};
use muster::config::Settings;

use crate::process::Home;
use crate::support::wire::{ENDLESS, Socket};
use crate::support::{DEADLINE, Server};

const CHEAP: &str = "{ __typename }";

async fn server(change: impl FnOnce(&mut Settings) + 'static) -> Server {
    Server::builder().settings(change).start().await
}

async fn unlimited(server: &Server) -> String {
    server
        .tokens
        .create(NewToken { allowance: Allowance::Unlimited, ..NewToken::new("gateway", Role::Admin) })
        .await
        .unwrap()
        .text
}

/// The status and the complete response to a document.
async fn post(server: &Server, token: &str, query: &str, more: &[&str]) -> (u16, String) {
    let authorization = format!("Authorization: Bearer {token}");
    let headers = [&[authorization.as_str(), "Content-Type: application/json"][..], more].concat();
    server.http("POST /graphql", &headers, &json!({ "query": query }).to_string()).await
}

#[track_caller]
fn assert_limited((status, answer): &(u16, String)) {
    assert_eq!(*status, 429, "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains(r#""code":"RATE_LIMITED","retryAfter":"#), "{answer}");
}

#[track_caller]
fn assert_refused(message: &Value, id: &str) {
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
    assert_eq!(message["payload"][0]["extensions"]["code"], "RATE_LIMITED", "{message}");
}

/// An event stream that has begun.
async fn stream(server: &Server, token: &str, more: &[&str]) -> TcpStream {
    let authorization = format!("Authorization: Bearer {token}");
    let headers = [&[authorization.as_str(), "Content-Type: application/json", "Accept: text/event-stream"][..], more];
    let mut stream = server.send("POST /graphql", &headers.concat(), &json!({ "query": ENDLESS }).to_string()).await;
    let mut seen = String::new();
    while !seen.contains("\r\n\r\n") {
        let mut part = [0; 1024];
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut part)).await.expect("in time").unwrap();
        seen.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
    stream
}

#[tokio::test]
async fn the_requests_of_a_token_are_limited_on_every_transport() {
    let server = server(|settings| settings.token_requests_per_minute = 4).await;
    let mut socket = server.acknowledged(&server.viewer).await;
    for id in ["1", "2"] {
        socket.subscribe(id, CHEAP).await;
        assert_eq!(socket.next().await["type"], "next");
        assert_eq!(socket.next().await["type"], "complete");
        assert_eq!(post(&server, &server.viewer, CHEAP, &[]).await.0, 200);
    }
    assert_limited(&post(&server, &server.viewer, CHEAP, &[]).await);
    assert_limited(&post(&server, &server.viewer, ENDLESS, &["Accept: text/event-stream"]).await);
    socket.subscribe("3", CHEAP).await;
    assert_refused(&socket.next().await, "3");

    assert_eq!(post(&server, &server.admin, CHEAP, &[]).await.0, 200, "another token has its own");
    let gateway = unlimited(&server).await;
    for _ in 0..10 {
        assert_eq!(post(&server, &gateway, CHEAP, &[]).await.0, 200);
    }
}

#[tokio::test]
async fn the_cost_of_a_token_s_operations_is_limited() {
    let server = server(|settings| settings.token_cost_per_minute = 1_000).await;
    let dear = "{ users(first: 100) { nodes { id email displayName status externalId } } }";
    assert_eq!(post(&server, &server.viewer, dear, &[]).await.0, 200);
    for accept in ["Accept: application/json", "Accept: application/graphql-response+json"] {
        let refused = post(&server, &server.viewer, dear, &[accept]).await;
        assert_limited(&refused);
        assert!(!refused.1.contains(r#""data""#), "{}", refused.1);
    }
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("1", dear).await;
    assert_refused(&socket.next().await, "1");
    assert_eq!(post(&server, &server.viewer, CHEAP, &[]).await.0, 200, "there is something left");
    assert_eq!(post(&server, &unlimited(&server).await, dear, &[]).await.0, 200);
}

#[tokio::test]
async fn the_test_mails_of_a_caller_are_limited() {
    let server = server(|settings| settings.token_test_mails_per_hour = 3).await;
    let mail = |count: usize| {
        let mail =
            |number| format!("m{number}: sendTestMail(input: {{ address: \"a@example.com\" }}) {{ __typename }}");
        format!("mutation {{ {} }}", (0..count).map(mail).collect::<String>())
    };
    let before = post(&server, &server.viewer, &mail(1), &[]).await;
    assert!(before.1.contains("FORBIDDEN"), "{}", before.1);
    let to_nobody = mail(3).replace("a@example.com", "nobody");
    for _ in 0..2 {
        assert_eq!(post(&server, &server.admin, &to_nobody, &[]).await.0, 200, "what is not sent does not count");
    }
    assert_limited(&post(&server, &server.admin, &mail(4), &[]).await);
    assert_eq!(post(&server, &server.admin, &mail(2), &[]).await.0, 200);
    let refused = post(&server, &server.admin, &mail(2), &[]).await;
    assert_limited(&refused);
    assert!(refused.1.contains("retry-after: 12"), "a third of an hour for each: {}", refused.1);
    let mut socket = server.acknowledged(&server.admin).await;
    socket.subscribe("1", &mail(2)).await;
    assert_refused(&socket.next().await, "1");
    assert_eq!(post(&server, &server.admin, &mail(1), &[]).await.0, 200);
    assert_limited(&post(&server, &server.admin, &mail(1), &[]).await);
    assert_eq!(post(&server, &server.admin, CHEAP, &[]).await.0, 200, "only mails are limited");
    let other = server.tokens.create(NewToken::new("other", Role::Operator)).await.unwrap().text;
    assert_eq!(post(&server, &other, &mail(1), &[]).await.0, 200, "another token has its own");
    assert_eq!(post(&server, &unlimited(&server).await, &mail(4), &[]).await.0, 200);
}

#[tokio::test]
async fn the_sockets_of_a_token_are_limited() {
    let server = server(|settings| settings.token_sockets = 2).await;
    let mut sockets: Vec<Socket> = Vec::new();
    for _ in 0..2 {
        sockets.push(server.acknowledged(&server.viewer).await);
    }
    let mut third = server.socket().await;
    third.init(&format!("Bearer {}", server.viewer)).await;
    assert_eq!(third.close_code().await, 4429);
    server.acknowledged(&server.admin).await;

    drop(sockets.pop());
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let mut next = server.socket().await;
        next.init(&format!("Bearer {}", server.viewer)).await;
        if next.close_or_next().await.is_ok() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn the_subscriptions_of_a_token_are_limited_over_all_transports() {
    let server = server(|settings| settings.token_subscriptions = 2).await;
    let first = stream(&server, &server.viewer, &[]).await;
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("1", ENDLESS).await;
    socket.subscribe("2", ENDLESS).await;
    assert_refused(&socket.next().await, "2");
    assert_limited(&post(&server, &server.viewer, ENDLESS, &["Accept: text/event-stream"]).await);
    socket.say(json!({ "type": "complete", "id": "1" })).await;
    // Messages are handled in their order.
    socket.subscribe("3", CHEAP).await;
    assert_eq!(socket.next().await["type"], "next");
    stream(&server, &server.viewer, &[]).await;
    drop(first);
}

#[tokio::test]
async fn many_operations_of_a_token_at_once_are_all_executed() {
    let server = server(|settings| settings.token_operations = 2).await;
    server.rehearse("Acme", &[]).await;
    let ask = |_| post(&server, &server.viewer, "{ instances { nodes { name } totalCount } }", &[]);
    let answers = futures_util::future::join_all((0..20).map(ask)).await;
    assert!(answers.iter().all(|(status, answer)| *status == 200 && answer.contains("Acme")), "{answers:?}");
}

#[tokio::test]
async fn a_subscription_may_cost_far_less_than_a_query() {
    let server = Server::start().await;
    let id = server.rehearse("Acme", &[("users", "3")]).await;
    server.idle(&id, "").await;
    let counts = |number: usize| -> String {
        let count = |number| format!(r#"a{number}: users(first: 1, filter: {{ search: "a" }}) {{ totalCount }} "#);
        (0..number).map(count).collect()
    };
    let subscription =
        |number| format!("subscription {{ instanceStateChanged {{ cursor instance {{ {} }} }} }}", counts(number));
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("1", &subscription(4)).await;
    assert_eq!(socket.next().await["type"], "next");
    let mut socket = server.acknowledged(&server.viewer).await;
    socket.subscribe("2", &subscription(5)).await;
    let refused = socket.next().await;
    assert_eq!(refused["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{refused}");
    server.ask(&format!(r#"{{ instance(id: "{id}") {{ {} }} }}"#, counts(40)), json!({})).await;
}

#[test]
fn a_token_without_limits_is_made_by_the_command_line() {
    let home = Home::new();
    let run = |arguments: &[&str]| {
        let output = home.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["token", "create", "--name", "console"]);
    run(&["token", "create", "--name", "gateway", "--unlimited"]);
    let list = run(&["token", "list"]);
    let unlimited: Vec<bool> = list.lines().map(|line| line.ends_with("\tunlimited")).collect();
    assert_eq!(unlimited, [false, true], "{list}");
}

#[tokio::test]
async fn health_checks_are_answered_when_clients_have_taken_all_connections() {
    // Of these, 32 are for health checks.
    let server = server(|settings| settings.max_connections = 32 + 4).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(&address).await.unwrap());
        assert_eq!(server.http("GET /healthz", &[], "").await.0, 200);
    }
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(stream(&server, &server.viewer, &[]).await);
    }
    drop(idle);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        // The connections that were closed may take a moment.
        let (status, answer) = post(&server, &server.viewer, CHEAP, &[]).await;
        if status == 503 {
            assert!(answer.contains("UNAVAILABLE"), "{answer}");
            break;
        }
        assert!(status == 200 && tokio::time::Instant::now() < deadline, "{answer}");
    }
    for path in ["GET /healthz", "GET /readyz", "GET /metrics"] {
        assert_eq!(server.http(path, &[], "").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn the_clients_of_a_trusted_proxy_have_their_own_shares() {
    let server = server(|settings| {
        settings.max_connections_per_address = 1;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let (one, other) = (["X-Forwarded-For: 192.0.2.1"], ["X-Forwarded-For: 192.0.2.1, 192.0.2.2"]);
    let open = stream(&server, &server.viewer, &one).await;
    assert_limited(&post(&server, &server.viewer, CHEAP, &one).await);
    assert_eq!(post(&server, &server.viewer, CHEAP, &other).await.0, 200);
    assert_eq!(post(&server, &server.viewer, CHEAP, &[]).await.0, 200, "the proxy's own");
    drop(open);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while post(&server, &server.viewer, CHEAP, &one).await.0 != 200 {
        assert!(tokio::time::Instant::now() < deadline);
    }
}
