use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Patience;
use crate::graphql::transport::sse::Revocation;
use crate::server::{Edge, Places, serve_with};

const IDLE: Duration = Duration::from_millis(1200);
const HEAD: Duration = Duration::from_millis(300);
const STALL: Duration = Duration::from_millis(900);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

async fn connect() -> TcpStream {
    connect_to(CancellationToken::new()).await
}

async fn connect_to(shutdown: CancellationToken) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = || async {
        sleep(2 * IDLE).await;
        "slow"
    };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/endless", get(|| async { endless().into_response() }))
        .route("/revoked", get(revoked));
    let patience = Patience { unused: IDLE, idle: IDLE, head: HEAD, stall: STALL, first: HEAD };
    let edge = Edge { places: Places::new(2, 1, Vec::new()), tls: None, encrypted: false };
    tokio::spawn(async move { serve_with(patience, &listener, &edge, router, shutdown).await });
    TcpStream::connect(address).await.unwrap()
}

/// A body without an end.
fn endless() -> Body {
    Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, Infallible>("x".repeat(65_536))))
}

/// A response whose token was revoked.
async fn revoked() -> Response {
    let revoked = CancellationToken::new();
    revoked.cancel();
    let mut response = endless().into_response();
    response.extensions_mut().insert(Revocation(revoked));
    response
}

async fn answer(stream: &mut TcpStream, ending: &str) {
    let mut seen = String::new();
    while !seen.ends_with(ending) {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "closed after {seen:?}");
        seen.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
}

/// How long it takes until the server closes the connection.
async fn closed(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{rest:?}");
    begun.elapsed()
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_longer_than_a_head_may_take() {
    let mut stream = connect().await;
    for _ in 0..2 {
        // The limit of the head has not begun.
        sleep(2 * HEAD).await;
        stream.write_all(REQUEST).await.unwrap();
        answer(&mut stream, "hello").await;
    }
    let kept = closed(&mut stream).await;
    assert!(kept + Duration::from_millis(50) > IDLE && kept < 2 * IDLE, "{kept:?}");
}

#[tokio::test]
async fn the_head_of_every_request_must_arrive_in_time() {
    for requests in [0, 1] {
        let mut stream = connect().await;
        for _ in 0..requests {
            stream.write_all(REQUEST).await.unwrap();
            answer(&mut stream, "hello").await;
        }
        let (half, _) = REQUEST.split_at(10);
        stream.write_all(half).await.unwrap();
        let kept = closed(&mut stream).await;
        assert!(kept + Duration::from_millis(50) > HEAD && kept < IDLE, "{requests}: {kept:?}");
    }
}

#[tokio::test]
async fn a_request_may_take_longer_than_both() {
    let mut stream = connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    answer(&mut stream, "slow").await;
}

#[tokio::test]
async fn a_new_connection_may_send_one_request_when_the_server_stops() {
    let shutdown = CancellationToken::new();
    let mut stream = connect_to(shutdown.clone()).await;
    sleep(HEAD / 3).await;
    shutdown.cancel();
    sleep(HEAD / 3).await;
    stream.write_all(REQUEST).await.unwrap();
    answer(&mut stream, "hello").await;
    assert!(closed(&mut stream).await < HEAD);

    let shutdown = CancellationToken::new();
    let mut silent = connect_to(shutdown.clone()).await;
    sleep(HEAD / 3).await;
    shutdown.cancel();
    let kept = closed(&mut silent).await;
    assert!(kept + Duration::from_millis(50) > HEAD && kept < IDLE, "{kept:?}");
}

/// How long it takes until the server closes a connection that reads nothing of the response.
async fn unread(path: &str) -> Duration {
    let mut stream = connect().await;
    let begun = Instant::now();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    // Until the connection is closed, the client can write.
    while stream.write_all(b"x").await.is_ok() {
        sleep(HEAD / 10).await;
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_not_waited_for_without_end() {
    let kept = unread("/endless").await;
    assert!(kept > STALL && kept < 4 * STALL, "{kept:?}");
    let kept = unread("/revoked").await;
    assert!(kept < STALL, "{kept:?}");
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let first = connect().await;
    let address = first.peer_addr().unwrap();
    let mut others = vec![first];
    for _ in 0..2 {
        sleep(HEAD / 6).await;
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(REQUEST).await.unwrap();
        answer(&mut next, "hello").await;
        others.push(next);
    }
    assert!(closed(&mut others[0]).await < HEAD);
}
