//! Which addresses requests may be sent to.

use std::net::IpAddr;

use serde_json::json;

use super::*;
use crate::engine::address::{Addresses, Reach};
use crate::source::ErrorClass;

const CLOSED: [&str; 41] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::c0a8:101",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];
const OPEN: [&str; 10] = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "64:ff9b::808:808",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn only_public_addresses_and_allowed_networks_may_be_called() {
    let nobody = Addresses::new(Vec::new());
    for closed in CLOSED {
        assert!(!nobody.permits(ip(closed), Reach::PublicOrAllowed), "{closed}");
    }
    for open in OPEN {
        assert!(nobody.permits(ip(open), Reach::PublicOrAllowed), "{open}");
        assert!(!nobody.permits(ip(open), Reach::AllowedOnly), "{open}");
    }
    let lan = Addresses::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::5"] {
        assert!(lan.permits(ip(allowed), Reach::AllowedOnly), "{allowed}");
    }
    for closed in ["10.2.0.1", "::ffff:10.2.0.1", "127.0.0.1", "fc00::1"] {
        assert!(!lan.permits(ip(closed), Reach::PublicOrAllowed), "{closed}");
    }
}

/// A client that may send requests to public addresses only.
fn public_only() -> Client {
    Client::new(ClientSettings { allowed_networks: Vec::new(), ..settings() }).unwrap()
}

async fn error_of(client: &Client, base_url: &str) -> SourceError {
    let config = Config::from([("base_url".to_owned(), base_url.to_owned())]);
    ids(&HttpSource::new(Arc::new(one_page()), config, client, None).unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn closed_addresses_are_refused_in_every_spelling_before_a_byte_is_sent() {
    let (peer, client) = (Peer::always(200, json!({"users": []})).await, public_only());
    let port = peer.origin.rsplit(':').next().unwrap();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "①②⑦.0.0.1",
        "127.0.0.1.",
    ];
    for host in hosts {
        for scheme in ["https", "http"] {
            let error = error_of(&client, &format!("{scheme}://{host}:{port}")).await;
            assert_eq!(error.class, ErrorClass::Config, "{scheme}://{host}: {}", error.message);
            assert!(error.message.contains("MUSTER_ALLOWED_NETWORKS"), "{scheme}://{host}: {}", error.message);
        }
    }
    assert!(peer.calls().is_empty());
}

#[tokio::test]
async fn plain_http_is_for_allowed_networks_only() {
    let error = error_of(&public_only(), "http://1.1.1.1").await;
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("must begin with https"), "{}", error.message);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Peer::always(200, json!({"users": []})).await;
    let target = elsewhere.origin.clone();
    let peer = Peer::answering(move |_, _| respond(307, &[("location", &target)], "{}")).await;
    let error = ids(&source(one_page(), &peer.origin)).await.unwrap_err();
    assert_eq!((error.class, error.http_status), (ErrorClass::Config, Some(307)));
    assert!(elsewhere.calls().is_empty());
}
