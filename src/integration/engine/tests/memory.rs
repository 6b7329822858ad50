//! The memory that responses take together.

use axum::body::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _};

use super::*;

const MIB: usize = 1024 * 1024;
/// Two of them take most of the budget.
const LARGE: usize = 30 * MIB;

/// An application with one page of this size.
async fn peer(size: usize) -> Peer {
    let padded = |body: Value, size| Bytes::from(format!("{body}{}", " ".repeat(size)));
    let page = padded(json!({"users": records(1..=2)}), size);
    // Larger than what is free, and than what is left of the budget.
    let detail = padded(json!({"mfa": true}), 200 * 1024);
    Peer::answering(move |_, call| respond(200, &[], if call.uri == "/users" { page.clone() } else { detail.clone() }))
        .await
}

fn connect(client: &Client, manifest: Manifest, peer: &Peer) -> HttpSource {
    let config = Config::from([("base_url".to_owned(), peer.origin.clone()), ("token".to_owned(), TOKEN.to_owned())]);
    HttpSource::new(Arc::new(manifest), config, client, None).unwrap()
}

fn patient() -> Client {
    let settings =
        ClientSettings { idle_timeout: Duration::from_secs(30), call_timeout: Duration::from_mins(1), ..settings() };
    Client::new(settings).unwrap()
}

#[tokio::test]
async fn a_page_waits_until_others_are_stored_and_a_small_one_does_not() {
    let (client, large, small) = (patient(), peer(LARGE).await, peer(0).await);
    let sources = [(); 3].map(|()| connect(&client, one_page(), &large));
    let [mut first, mut second, mut third] = sources.each_ref().map(|source| source.pages(None));
    assert_eq!(first.next().await.unwrap().unwrap().users.len(), 2);
    assert_eq!(second.next().await.unwrap().unwrap().users.len(), 2);

    let mut waiting = third.next();
    // That it waits is not the application's fault.
    while !sources[2].is_queued() {
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiting).await.is_err());
    }
    assert_eq!(ids(&connect(&client, one_page(), &small)).await.unwrap(), ["1", "2"]);
    assert!((&mut waiting).now_or_never().is_none());
    // It is stored when the next one is asked for.
    assert!(first.next().await.is_none());
    assert_eq!(waiting.await.unwrap().unwrap().users.len(), 2);
}

#[tokio::test]
async fn many_large_lists_end_one_after_another() {
    let (client, peer) = (patient(), peer(9 * MIB).await);
    let sources: Vec<_> = (0..12).map(|_| connect(&client, one_page(), &peer)).collect();
    let listed = join_all(sources.iter().map(ids)).await;
    assert!(listed.iter().all(|ids| ids.as_ref().is_ok_and(|ids| *ids == ["1", "2"])), "{listed:?}");
}

#[tokio::test]
async fn what_is_asked_for_beside_a_page_is_read_while_the_page_is_held() {
    let users = "  pages: none
  records: $.users
  details:
    factors: {path: '/users/{{record.id}}', provides: mfa_enabled, permission: users.read}
  map: {external_id: $.id, email: $.email, status: active, mfa_enabled: {any: '$[?@._details.factors.mfa == true]'}}";
    let (client, peer) = (patient(), peer(32 * MIB - 1024).await);
    let sources = [(); 3].map(|()| connect(&client, manifest(users, ""), &peer));
    let listed = join_all(sources.iter().map(ids)).await;
    assert!(listed.iter().all(|ids| ids.as_ref().is_ok_and(|ids| *ids == ["1", "2"])), "{listed:?}");
}
