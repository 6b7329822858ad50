//! How requests are signed, and that the credential is sent to the application only.

use futures_util::TryStreamExt as _;
use serde_json::json;

use super::*;
use crate::source::ErrorClass;

async fn signed(auth: &str) -> Call {
    let peer = Peer::always(200, json!({"users": []})).await;
    let manifest = manifest("  pages: none\n  records: $.users", auth);
    ids(&source(manifest, &format!("{}/base/", peer.origin))).await.unwrap();
    peer.calls().remove(0)
}

fn header(call: &Call, name: &str) -> String {
    call.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn every_kind_of_signature() {
    let call = signed("auth: {bearer: '{{config.token}}'}").await;
    assert_eq!(header(&call, "authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(header(&call, "user-agent"), format!("muster/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(header(&call, "accept"), "application/json");
    assert_eq!(call.uri, "/base/users");

    let call = signed("auth: {basic: {username: 'me/token', password: '{{config.token}}'}}").await;
    assert_eq!(header(&call, "authorization"), "Basic bWUvdG9rZW46Y2FuYXJ5LTZmMWQvKz0=");

    let call = signed("auth: {header: {Authorization: 'SSWS {{config.token}}', X-Key: '{{config.token}}'}}").await;
    assert_eq!((header(&call, "authorization"), header(&call, "x-key")), (format!("SSWS {TOKEN}"), TOKEN.to_owned()));

    let call = signed("auth: {query: {api_key: '{{config.token}}'}}").await;
    assert_eq!(call.uri, "/base/users?api_key=canary-6f1d%2F%2B%3D");
}

#[tokio::test]
async fn headers_and_parameters_of_the_manifest_are_sent() {
    let peer = Peer::always(200, json!([])).await;
    let users = "  query: {'role[]': [agent, admin], limit: 200}\n  pages: none\n  records: $";
    let manifest = manifest(users, "headers: {Accept: application/vnd.test+json, X-Version: '2022-06-28'}");
    ids(&source(manifest, &peer.origin)).await.unwrap();
    let call = peer.calls().remove(0);
    assert_eq!(call.uri, "/users?limit=200&role%5B%5D=agent&role%5B%5D=admin");
    assert_eq!(header(&call, "accept"), "application/vnd.test+json");
    assert_eq!(header(&call, "x-version"), "2022-06-28");
}

#[tokio::test]
async fn a_key_in_the_query_is_neither_doubled_nor_kept_in_a_checkpoint() {
    let peer = Peer::answering(|number, call| {
        let next = (number == 1).then(|| format!("{}&page=2", call.uri));
        ok(&json!({"users": records([number as u64]), "next": next}))
    })
    .await;
    let users = "  pages: {next_url: {at: $.next}}\n  records: $.users";
    let source = source(manifest(users, "auth: {query: {api_key: '{{config.token}}'}}"), &peer.origin);
    let pages: Vec<Page> = source.pages(None).try_collect().await.unwrap();
    assert!(!pages[0].next.as_ref().unwrap().to_string().contains("canary"));
    assert_eq!(peer.uris()[1], "/users?page=2&api_key=canary-6f1d%2F%2B%3D");
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    let client = Client::new(settings()).unwrap();
    let new = |pairs: &[(&str, &str)]| {
        let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        HttpSource::new(Arc::new(one_page()), config, &client, None).map(|_| ()).unwrap_err()
    };
    let error = new(&[("token", "x"), ("colour", "red")]);
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("Address is required") && error.message.contains("colour"), "{}", error.message);
    for address in
        ["ftp://example.com", "https://me:pw@example.com", "https://example.com/?a=1", "example.com", "https://"]
    {
        let error = new(&[("base_url", address)]);
        assert!(
            error.message.contains("must be an address") && !error.message.contains("pw"),
            "{address}: {}",
            error.message
        );
    }
    let error = new(&[("base_url", "https://example.com"), ("token", "a\r\nX-Evil: 1")]);
    assert!(error.message.contains("Token") && !error.message.contains("Evil"), "{}", error.message);
}

#[tokio::test]
async fn a_setting_in_a_path_stays_one_part_of_it() {
    let peer = Peer::always(200, json!([])).await;
    let text = r#"
name: Test
category: identity
description: Organisations.
required_permissions: [members]
setup: Nothing.
config:
  - {key: base_url, label: Address, type: url}
  - {key: org, label: Organisation, type: text}
base_url: "{{config.base_url}}"
tenant: "{{config.org}}"
auth: none
users:
  path: /orgs/{{config.org}}/members/
  pages: none
  records: $
  map: {external_id: $.id, email: $.email, status: active}
"#;
    let client = Client::new(settings()).unwrap();
    for (org, path) in [("acme", "/orgs/acme/members/"), ("../a/b?c#d", "/orgs/..%2Fa%2Fb%3Fc%23d/members/")] {
        let manifest = Arc::new(manifest::parse(text, "test.yaml").unwrap());
        let config = [("base_url", peer.origin.as_str()), ("org", org)];
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let source = HttpSource::new(manifest, config, &client, None).unwrap();
        assert_eq!(source.check().await.unwrap().tenant.as_deref(), Some(org));
        assert_eq!(peer.uris().last().unwrap(), path);
    }
}
