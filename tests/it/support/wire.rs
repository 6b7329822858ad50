//! The transports of `/graphql`, as bytes on sockets.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Client, DEADLINE};

/// A subscription without an end.
pub const ENDLESS: &str = "subscription { instanceStateChanged { cursor cause instance { id name } } }";

impl Client {
    fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sends a request with the given header lines, and returns the stream with the response.
    pub async fn send(&self, start: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let mut request =
            format!("{start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        stream
    }

    /// The status and the complete response.
    pub async fn http(&self, start: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut stream = self.send(start, headers, body).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(DEADLINE, read).await.expect("in time").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), answer)
    }

    /// The response to a document sent by POST.
    pub async fn post(&self, query: &str, accept: &str) -> (u16, String) {
        let token = format!("Authorization: Bearer {}", self.admin);
        let headers = [&token, "Content-Type: application/json", &format!("Accept: {accept}")];
        self.http("POST /graphql", &headers, &json!({ "query": query }).to_string()).await
    }

    /// A new WebSocket, before `connection_init`.
    pub async fn socket(&self) -> Socket {
        self.socket_with(&[]).await.expect("upgraded")
    }

    /// A new WebSocket with more header lines, or the status with which it is refused.
    pub async fn socket_with(&self, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let mut request = format!("ws://{}/graphql", self.address()).into_client_request().unwrap();
        for (name, value) in [("Sec-WebSocket-Protocol", "graphql-transport-ws")].iter().chain(headers).copied() {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A WebSocket after `connection_ack`.
    pub async fn acknowledged(&self, token: &str) -> Socket {
        let mut socket = self.socket().await;
        socket.init(&format!("Bearer {token}")).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket
    }
}

/// The client side of a WebSocket.
pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    pub async fn init(&mut self, authorization: &str) {
        let payload = json!({ "authorization": authorization });
        self.say(json!({ "type": "connection_init", "payload": payload })).await;
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    async fn receive(&mut self) -> Message {
        tokio::time::timeout(DEADLINE, self.0.next()).await.expect("in time").expect("open").expect("valid")
    }

    /// The next GraphQL message; pings are skipped.
    pub async fn next(&mut self) -> Value {
        self.close_or_next().await.unwrap_or_else(|code| panic!("closed: {code}"))
    }

    /// The next GraphQL message, or the close code.
    pub async fn close_or_next(&mut self) -> Result<Value, u16> {
        loop {
            match self.receive().await {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(frame) => return Err(frame.expect("a code").code.into()),
                _ => {}
            }
        }
    }

    /// The close code and the reason. Messages before it are skipped.
    pub async fn close_reason(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.receive().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// The close code. Messages before it are skipped.
    pub async fn close_code(&mut self) -> u16 {
        self.close_reason().await.0
    }
}
