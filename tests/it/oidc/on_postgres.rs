//! Several replicas.

use super::story::{SECRET, person};
use super::{Browser, home};
use crate::peers::IdentityProvider;
use crate::process::Home;

#[tokio::test]
async fn any_replica_completes_a_sign_in_once() {
    let provider = IdentityProvider::start();
    person(&provider, "ada", &["admins"]).await;
    let first = home(Home::new(), &provider, SECRET);
    let address = format!("http://127.0.0.1:{}", first.port);
    let first = first.set("PUBLIC_URL", address);
    let begun_at = first.serve("").await;
    let second = first.replica();
    let completed_at = second.serve("").await;
    let mut browser = Browser::new();
    let callback = browser.come_back(&begun_at).await;
    let elsewhere = callback.replacen(&begun_at.client.url, &completed_at.client.url, 1);
    assert_eq!(browser.get(&elsewhere).await.status, 303);
    assert_eq!(browser.get(&callback).await.status, 400);
    assert!(browser.is_signed_in(&begun_at).await && browser.is_signed_in(&completed_at).await);
}
