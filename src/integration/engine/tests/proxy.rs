//! Requests through a proxy.

use super::*;
use crate::source::ErrorClass;

/// A proxy that refuses every tunnel, and keeps the first line of each request.
async fn proxy() -> (url::Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let length = socket.read(&mut request).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            kept.lock().push(text.lines().next().unwrap_or_default().to_owned());
            let _ = socket.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (url, asked)
}

async fn error_of(address: &str, settings: ClientSettings) -> SourceError {
    ids(&source_with(one_page(), address, settings)).await.unwrap_err()
}

#[tokio::test]
async fn names_that_only_the_proxy_knows_go_through_it_and_closed_addresses_are_refused() {
    let (url, asked) = proxy().await;
    let closed = || ClientSettings { https_proxy: Some(url.clone()), allowed_networks: Vec::new(), ..settings() };
    let error = error_of("https://app.example.invalid:8443", closed()).await;
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert_eq!(*asked.lock(), ["CONNECT app.example.invalid:8443 HTTP/1.1"; 3]);

    asked.lock().clear();
    for address in ["https://127.0.0.1:8443", "https://[::ffff:10.0.0.1]", "https://localhost:8443"] {
        let error = error_of(address, closed()).await;
        assert!(error.message.contains("MUSTER_ALLOWED_NETWORKS"), "{address}: {error}");
    }
    let error = error_of("http://1.1.1.1", closed()).await;
    assert!(error.message.contains("must begin with https"), "{error}");
    assert!(asked.lock().is_empty());
}

#[tokio::test]
async fn an_address_in_the_allowed_networks_is_called_directly() {
    let (url, asked) = proxy().await;
    let peer = Peer::always(200, json!({"users": records([1])})).await;
    let settings = || ClientSettings { https_proxy: Some(url.clone()), ..settings() };
    assert_eq!(ids(&source_with(one_page(), &peer.origin, settings())).await.unwrap(), ["1"]);
    let error = error_of(&peer.origin.replace("http:", "https:"), settings()).await;
    assert!(error.message.contains("certificate"), "the peer speaks no TLS: {error}");
    assert!(asked.lock().is_empty());
}

#[test]
fn certificates_that_cannot_be_read_are_an_error() {
    let garbage = b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n".to_vec();
    assert!(Client::new(ClientSettings { ca_certificates: garbage, ..settings() }).is_err());
}
