//! The request before the listing, addresses from its response, and the expiry of the credential.

use super::*;
use crate::source::ErrorClass;

/// A manifest whose base URL comes from the response of `/me`.
fn discovering(hosts: &str) -> String {
    format!(
        r#"
name: Test
category: identity
description: An application made up for tests.
required_permissions: [users.read]
setup: Nothing.
config:
  - {{key: base_url, label: Address, type: url}}
  - {{key: token, label: Token, type: secret}}
base_url: "{{{{found.home}}}}"
base_url_hosts: [{hosts}]
tenant: "{{{{found.account}}}}"
headers: {{X-Account: "{{{{found.account}}}}"}}
auth: {{bearer: "{{{{config.token}}}}"}}
identify:
  url: "{{{{config.base_url}}}}/me"
  keep: {{home: $.home, account: $.account.id}}
credential_expires_at: {{header: x-token-ends, format: epoch_s}}
users:
  path: /accounts/{{{{found.account}}}}/users
  pages: none
  records: $
  map: {{external_id: $.id, email: $.email, status: active}}
"#
    )
}

/// Parses the manifest and allows the host of the test peer, which is an IP address.
fn free(text: &str) -> Manifest {
    let mut manifest = manifest::parse(text, "test.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"));
    for host in &mut manifest.base_url_hosts {
        host.value.0 = "127.0.0.1".to_owned();
    }
    manifest
}

#[tokio::test]
async fn the_listing_goes_where_the_application_says_that_the_account_lives() {
    let home = Peer::answering(|_, call| match call.uri.as_str() {
        "/api/accounts/A%2F7/users" => {
            respond(200, &[("x-token-ends", "1772370000")], json!(records(1..=2)).to_string())
        }
        _ => respond(500, &[], "unexpected"),
    })
    .await;
    let base = format!("{}/api/", home.origin);
    let front = Peer::answering(move |_, call| {
        assert_eq!(call.uri, "/me");
        ok(&json!({"home": base, "account": {"id": "A/7"}}))
    })
    .await;
    let source = source(free(&discovering("login.example.com")), &front.origin);
    let verified = source.check().await.unwrap();
    assert_eq!(verified.tenant.as_deref(), Some("a/7"));
    assert_eq!(verified.credential_expires_at, Some(1_772_370_000_000));
    let pages = all(&source).await.unwrap();
    assert_eq!(pages[0].users.len(), 2);
    assert_eq!(pages[0].credential_expires_at, Some(1_772_370_000_000));
    assert_eq!(front.calls().len(), 2, "a check asks anew, a listing once");
    assert_eq!(home.calls()[0].headers["x-account"], "A/7");
}

#[tokio::test]
async fn an_address_that_the_application_gives_must_be_one_of_its_own_hosts() {
    let front = Peer::always(200, json!({"home": "https://evil.example.net/", "account": {"id": 1}})).await;
    let manifest = manifest::parse(&discovering("'*.example.com'"), "test.yaml").unwrap();
    let error = all(&source(manifest, &front.origin)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("a host that is not its own"), "{}", error.message);
}

#[tokio::test]
async fn a_refused_question_fails_the_run_unless_it_is_optional() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/me" => respond(403, &[], "{}"),
        _ => ok(&json!(records(1..=1))),
    })
    .await;
    let keys = "  pages: none\n  records: $";
    let strict = manifest(keys, "tenant: '{{found.id}}'\nidentify: {path: /me, keep: {id: $.id}}");
    let error = source(strict, &peer.origin).check().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permission);
    assert!(error.message.contains("whose credential it is"), "{}", error.message);
    let lenient = manifest(keys, "tenant: '{{found.id}}'\nidentify: {path: /me, keep: {id: $.id}, optional: true}");
    assert_eq!(source(lenient, &peer.origin).check().await.unwrap().tenant, None);
}

#[tokio::test]
async fn an_optional_question_that_is_not_answered_costs_the_run_only_what_it_needs() {
    for status in [500, 503, 429] {
        let answer = move |_: usize, call: &Call| match call.uri.as_str() {
            "/me" => respond(status, &[], "{}"),
            _ => ok(&json!(records(1..=1))),
        };
        let peer = Peer::answering(answer).await;
        let keys = "  pages: none\n  records: $";
        let identify = "identify: {path: /me, keep: {id: $.id}, optional: true}";
        let more = format!("{identify}\ncredential_expires_at: {{found: id, format: iso}}");
        assert_eq!(ids(&source(manifest(keys, &more), &peer.origin)).await.unwrap(), ["1"], "{status}");
        // Without the answer, another tenant's users could come under the name of this one.
        let more = format!("{identify}\ntenant: '{{{{found.id}}}}'");
        let error = ids(&source(manifest(keys, &more), &peer.origin)).await.unwrap_err();
        assert_eq!(error.http_status, Some(status));
    }
}

#[tokio::test]
async fn what_the_calls_need_must_be_said() {
    let peer = Peer::always(200, json!({"other": 1})).await;
    let keys = "  query: {workspace: '{{found.id}}'}\n  pages: none\n  records: $";
    let needing = manifest(keys, "identify: {path: /me, keep: {id: $.id}}");
    let error = all(&source(needing, &peer.origin)).await.unwrap_err();
    assert!(error.message.contains("does not say “id”"), "{}", error.message);
    assert_eq!(peer.uris(), ["/me"], "nothing else is asked");
}

#[tokio::test]
async fn an_empty_page_of_a_list_without_a_total_is_believed_only_of_somebody_who_is_still_known() {
    let peer = Peer::answering(|number, call| match (call.uri.starts_with("/me"), number) {
        (true, 1) => ok(&json!({"id": 1})),
        (true, _) => respond(401, &[], "{}"),
        (false, 2) => ok(&json!(records(1..=2))),
        (false, _) => ok(&json!([])),
    })
    .await;
    let keys = "  pages: {offset: {param: from}}\n  records: $";
    let manifest = manifest(keys, "identify: {path: /me, keep: {id: $.id}}\ntenant: '{{found.id}}'");
    let error = all(&source(manifest, &peer.origin)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Token);
    assert_eq!(peer.uris(), ["/me", "/users?from=0", "/users?from=2", "/me"]);
}

#[tokio::test]
async fn the_end_of_the_credential_may_stand_in_the_answer() {
    let peer = Peer::answering(|_, call| match call.uri.as_str() {
        "/me" => ok(&json!({"ends": "2026-04-01"})),
        _ => ok(&json!(records(1..=1))),
    })
    .await;
    let more = "identify: {path: /me, keep: {ends: $.ends}}\ncredential_expires_at: {found: ends, format: iso}";
    let source = source(manifest("  pages: none\n  records: $", more), &peer.origin);
    assert_eq!(source.check().await.unwrap().credential_expires_at, Some(1_775_001_600_000));
}

#[tokio::test]
async fn the_next_page_may_be_at_another_origin_that_the_manifest_names_and_nowhere_else() {
    let other = Peer::always(200, json!({"users": records(3..=3)})).await;
    let next = format!("{}/more?x=1", other.origin);
    let peer = Peer::always(200, json!({"users": records(1..=2), "next": next})).await;
    let keys = "  pages: {next_url: {at: $.next}}\n  records: $.users";
    let error = all(&source(manifest(keys, ""), &peer.origin)).await.unwrap_err();
    assert!(error.message.contains("same users"), "{}", error.message);
    assert_eq!(peer.uris(), ["/users", "/more?x=1"], "it is looked for on the own host");
    assert_eq!(other.calls().len(), 0);

    let mut named = manifest(keys, "other_origins: ['https://elsewhere.example.com']");
    named.other_origins[0].value = other.origin.parse().unwrap();
    assert_eq!(ids(&source(named, &peer.origin)).await.unwrap(), ["1", "2", "3"]);
    assert_eq!(other.calls()[0].uri, "/more?x=1");
}
