use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Patience;
use crate::server::serve_with;

const IDLE: Duration = Duration::from_millis(1200);
const HEAD: Duration = Duration::from_millis(300);
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
    let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
    let patience = Patience { idle: IDLE, head: HEAD, first: HEAD };
    tokio::spawn(async move { serve_with(patience, &listener, router, shutdown).await });
    TcpStream::connect(address).await.unwrap()
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
