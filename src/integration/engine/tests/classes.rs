//! How failed responses are classified: by the manifest's rules first, then by the status code.

use serde_json::json;

use super::*;
use crate::source::ErrorClass;

async fn refused(
    manifest: Manifest,
    status: u16,
    headers: &'static [(&str, &str)],
    body: Value,
) -> (SourceError, usize) {
    let peer = Peer::answering(move |_, _| respond(status, headers, body.to_string())).await;
    let error = ids(&source(manifest, &peer.origin)).await.unwrap_err();
    assert_eq!(error.http_status, Some(status));
    (error, peer.calls().len())
}

/// A status with headers, and the result: the class, whether it is definite, and the number of requests.
type Case = (u16, &'static [(&'static str, &'static str)], ErrorClass, bool, usize);

#[tokio::test]
async fn status_codes_have_a_class_each() {
    use ErrorClass::{Config, Permission, RateLimit, Token, Transient};
    let cases: [Case; 23] = [
        (401, &[], Token, false, 1),
        (401, &[("www-authenticate", "Bearer error=\"invalid_token\"")], Token, false, 1),
        (
            401,
            &[("www-authenticate", "Bearer error=\"invalid_token\", error_description=\"The token expired\"")],
            Token,
            true,
            1,
        ),
        (403, &[], Permission, false, 1),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")], RateLimit, false, 1),
        (403, &[("x-ratelimit-remaining", "12")], Permission, false, 1),
        (403, &[("retry-after", "30")], RateLimit, false, 1),
        (404, &[], Config, false, 1),
        (400, &[], Config, false, 1),
        (302, &[("location", "http://169.254.169.254/")], Config, false, 1),
        (408, &[], RateLimit, false, 1),
        (429, &[("retry-after", "30")], RateLimit, false, 1),
        (500, &[], Transient, false, 3),
        (502, &[("content-type", "text/html")], Transient, false, 3),
        (503, &[], Transient, false, 3),
        (422, &[], Config, false, 1),
        (410, &[], Config, false, 1),
        (423, &[("retry-after", "30")], RateLimit, false, 1),
        (477, &[("retry-after", "7200")], RateLimit, false, 1),
        (409, &[("retry-after", "30")], RateLimit, false, 1),
        (409, &[], Config, false, 1),
        (404, &[("retry-after", "30")], Config, false, 1),
        (503, &[("retry-after", "86400")], Transient, false, 1),
    ];
    for (status, headers, class, definite, calls) in cases {
        let (error, made) = refused(one_page(), status, headers, json!({})).await;
        assert_eq!(
            (error.class, error.definite, made),
            (class, definite, calls),
            "{status} {headers:?}: {}",
            error.message
        );
    }
}

#[tokio::test]
async fn a_body_that_says_revoked_is_definite() {
    for body in [
        json!({"error": "token_revoked"}),
        json!({"error": {"message": "This key has been revoked"}}),
        json!({"error": "invalid_grant"}),
    ] {
        let (error, _) = refused(one_page(), 401, &[], body).await;
        assert!(error.definite, "{}", error.message);
    }
    let (error, _) = refused(one_page(), 401, &[], json!({"detail": "Authorization failure"})).await;
    assert!(!error.definite);
}

#[tokio::test]
async fn what_has_expired_must_be_the_credential() {
    for (said, definite) in [
        ("The license of this server has expired.", false),
        ("Your license key has expired", false),
        ("Subscription expired; the API key does not work until it is renewed", false),
        ("The trial of this workspace expired", false),
        ("Your password expired on Monday", true),
        ("The session has expired", true),
        ("SESSION_EXPIRED", true),
        ("ExpiredAuthenticationToken", true),
        ("Lifetime validation failed, the token is expired.", true),
        ("expired API key", true),
        ("Access of this integration was revoked", true),
    ] {
        let (error, _) = refused(one_page(), 401, &[], json!({"error": said})).await;
        assert_eq!((error.class, error.definite), (ErrorClass::Token, definite), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_refusal_because_of_the_address_is_not_about_the_credential() {
    use ErrorClass::{Config, Permission, Token};
    let rules = "errors: [{status: [403], is: permission, message: Ask Ann.}]\nerror_details: {message: $.why}";
    let with_rules = || manifest("  pages: none\n  records: $.users", rules);
    let sentences = [
        "The `acme` organization has an IP allow list enabled, and your IP address is not permitted to access this.",
        "The IP address has been rejected because it's not in the allowlist. Contact your administrator",
        "IP 203.0.113.7 is not allowed to access this account. Contact your local security administrator.",
        "Access denied from unauthorized IP address 203.0.113.7",
        "This workspace doesn't allow connections from your IP",
        "Requests from 203.0.113.7 are outside of the trusted network range",
        "Blocked by the account's network policy",
        "Access has been blocked by Conditional Access policies.",
        "Your network is not authorized",
        "You are not allowed to sign in from this location",
        "This API can only be used from your company's network",
        "Your country is fine, but your address has been blocked",
        "Please connect to the VPN first",
        "ip_not_allowed",
        "IP_ADDRESS_BLOCKED",
    ];
    for said in sentences {
        for body in [
            json!({"message": said}),
            json!({"errorMessages": [said]}),
            json!({"errors": [{"message": said}]}),
            json!({"errors": [said]}),
            json!({"error": {"code": 403, "message": said}}),
            json!({"why": said}),
        ] {
            for (manifest, status) in [(with_rules(), 401), (with_rules(), 403)] {
                let (error, calls) = refused(manifest, status, &[], body.clone()).await;
                assert_eq!((error.class, calls), (Config, 1), "{status} {body}: {error}");
                assert!(error.message.contains("from its address") && error.message.contains(said), "{error}");
                assert!(error.missing_permissions.is_empty(), "{error}");
            }
        }
    }
    let graphql = json!({"data": null, "errors": [{"type": "FORBIDDEN", "message": sentences[0]}]});
    assert_eq!(refused(one_page(), 200, &[], graphql).await.0.class, Config);
    for (status, said, class) in [
        (403, "Your role does not allow listing users", Permission),
        (403, "Your role does not allow list operations", Permission),
        (403, "You may not view the networks of this account", Permission),
        (403, "Missing scope: read:ip_allow_list", Permission),
        (403, "You do not have permission to access this resource", Permission),
        (403, "Not allowed: your email address is not confirmed", Permission),
        (403, "You are not authorized to view people at this location or in this network", Permission),
        (401, "Your zip code is not allowed", Token),
        (401, "The API key for the IP address service was revoked", Token),
    ] {
        let (error, _) = refused(one_page(), status, &[], json!({"message": said})).await;
        assert_eq!(error.class, class, "{said}: {error}");
    }
    let text: &[(&str, &str)] = &[("content-type", "text/plain")];
    let plain = manifest("  pages: none\n  records: $.users", "error_details: {plain_text: true}");
    let peer = Peer::answering(move |_, _| respond(403, text, "Your IP address is not allowed.")).await;
    assert_eq!(ids(&source(plain, &peer.origin)).await.unwrap_err().class, Config);
}

#[tokio::test]
async fn a_missing_scope_is_recognised_whatever_the_status() {
    use ErrorClass::{Config, Permission, Token};
    for (status, said, class) in [
        (401, "Unauthorized; scope does not match", Permission),
        (401, "Invalid access token, does not contain scopes: [user:read]", Permission),
        (401, "insufficient_scope", Permission),
        (401, "The token was not granted the required scope", Permission),
        (400, "The app does not have the required scope 'members.read'.", Permission),
        (400, "Missing scopes", Permission),
        (401, "The scope users.read is missing", Permission),
        (401, "Unauthorized", Token),
        (401, "The token has expired; it needs the scope users.read", Token),
        (400, "scope is not a known parameter", Config),
    ] {
        let (error, _) = refused(one_page(), status, &[], json!({"message": said})).await;
        assert_eq!(error.class, class, "{status} {said}: {error}");
    }
}

#[tokio::test]
async fn the_wait_that_an_outage_is_told_with_is_kept() {
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(u16, Headers, Option<u64>); 3] = [
        (503, &[("retry-after", "86400")], Some(86_400_000)),
        (477, &[("retry-after", "7200")], Some(7_200_000)),
        (502, &[("x-ratelimit-reset", "3000"), ("x-ratelimit-remaining", "40")], None),
    ];
    for (status, headers, wait) in cases {
        let (error, _) = refused(one_page(), status, headers, json!({})).await;
        assert_eq!(error.retry_after_ms, wait, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let headers = &[("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"users.read groups.read\"")];
    let (error, _) = refused(one_page(), 403, headers, json!({})).await;
    assert_eq!(error.missing_permissions, ["users.read", "groups.read"]);
    assert!(error.message.contains("Missing: users.read, groups.read"), "{}", error.message);

    let details = "error_details: {permission: [$.needed, $.scopes], permission_header: x-accepted-scopes}";
    let manifest = manifest("  pages: none\n  records: $.users", details);
    let body = json!({"needed": "users:read", "scopes": ["a", "b"]});
    let (error, _) = refused(manifest, 403, &[("x-accepted-scopes", "read:org, admin")], body).await;
    assert_eq!(error.missing_permissions, ["read:org", "admin", "users:read", "a", "b"]);

    let (error, _) = refused(one_page(), 403, &[], json!({})).await;
    assert_eq!(error.missing_permissions, ["users.read"], "what the manifest says, if the application says nothing");
    assert!(error.message.contains("It needs: users.read"), "{}", error.message);
}

#[tokio::test]
async fn rules_come_before_the_status_also_on_success() {
    let rules = r#"
errors:
  - {when: "$[?@.ok == false && @.error == 'token_revoked']", is: token_revoked}
  - {when: "$[?@.ok == false && @.error == 'missing_scope']", is: permission}
  - {status: [200], when: "$[?@.ok == false]", is: transient}
  - {status: [401], when: "$[?@.code == 'FEATURE_OFF']", is: config, message: Turn the API on first.}
  - {header: {x-quota: '^0$'}, is: rate_limit}
error_details: {message: $.error, permission: $.needed}
"#;
    let rules = || manifest("  pages: none\n  records: $.members", rules);
    let (error, _) = refused(rules(), 200, &[], json!({"ok": false, "error": "token_revoked"})).await;
    assert_eq!((error.class, error.definite), (ErrorClass::Token, true));
    let (error, _) =
        refused(rules(), 200, &[], json!({"ok": false, "error": "missing_scope", "needed": "users:read"})).await;
    assert_eq!(
        (error.class, error.missing_permissions.as_slice()),
        (ErrorClass::Permission, ["users:read".to_owned()].as_slice())
    );
    let (error, calls) = refused(rules(), 200, &[], json!({"ok": false, "error": "internal_error"})).await;
    assert_eq!((error.class, calls), (ErrorClass::Transient, 3));
    let (error, _) = refused(rules(), 401, &[], json!({"code": "FEATURE_OFF"})).await;
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Config, "Turn the API on first."));
    let (error, _) = refused(rules(), 401, &[("x-quota", "0"), ("retry-after", "9")], json!({})).await;
    assert_eq!((error.class, error.retry_after_ms), (ErrorClass::RateLimit, Some(9000)));
    let (error, _) = refused(rules(), 401, &[("x-quota", "10")], json!({})).await;
    assert_eq!(error.class, ErrorClass::Token);
}

#[tokio::test]
async fn a_credential_that_is_bad_is_recognised_whatever_the_status() {
    use ErrorClass::{Permission, Token};
    let cases = [
        (400, json!({"error": {"message": "API key not valid. Please pass a valid API key."}}), Token, false),
        (400, json!({"code": "invalid_token"}), Token, false),
        (400, json!({"message": "Your access token has been revoked"}), Token, true),
        (403, json!({"error": {"code": "TOKEN_EXPIRED"}}), Token, true),
        (403, json!({"message": "This API key was deleted"}), Token, true),
        (403, json!({"message": "Invalid access token"}), Token, false),
        (403, json!({"message": "Your trial has expired"}), Permission, false),
        (403, json!({"message": "Your access token may not read users"}), Permission, false),
        (400, json!({"message": "The page token is invalid"}), ErrorClass::Transient, false),
    ];
    for (status, body, class, definite) in cases {
        let (error, calls) = refused(one_page(), status, &[], body.clone()).await;
        assert_eq!((error.class, error.definite, calls), (class, definite, 1), "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn a_clock_that_differs_is_named_where_the_credential_is_refused() {
    let late = &[("date", "Sun, 01 Mar 2026 12:20:30 GMT")];
    let (error, _) = refused(one_page(), 401, late, json!({"message": "no"})).await;
    let expected = "The application does not accept the credential (HTTP 401). This server's clock is 20 minutes \
                    behind the application's. It said: “no”.";
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Token, expected));
    let early = &[("date", "Sun, 01 Mar 2026 11:00:00 GMT")];
    let (error, _) = refused(one_page(), 401, early, json!({})).await;
    assert!(error.message.contains("60 minutes ahead of"), "{error}");
    for near in [&[("date", "Sun, 01 Mar 2026 12:04:00 GMT")], &[("date", "a while ago")]] {
        let (error, _) = refused(one_page(), 401, near, json!({})).await;
        assert!(!error.message.contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn a_password_is_called_a_password() {
    let auth = "auth: {basic: {username: me, password: '{{config.token}}'}}";
    let (error, _) = refused(manifest("  pages: none\n  records: $.users", auth), 401, &[], json!({})).await;
    assert!(error.message.starts_with("The application does not accept the credential"), "{error}");
    let text = "
name: Test
category: identity
description: An application made up for tests.
required_permissions: [users.read]
setup: Nothing.
config:
  - {key: base_url, label: Address, type: url}
  - {key: token, label: Password, type: secret}
base_url: '{{config.base_url}}'
auth: {basic: {username: me, password: '{{config.token}}'}}
users:
  path: /users
  pages: none
  records: $.users
  joins: {admins: {path: /admins, pages: none, records: $, key: $.id, provides: is_admin, permission: admins.read}}
  map: {external_id: $.id, email: $.email, status: active, is_admin: {present_in: admins}}
";
    let (error, calls) = refused(manifest::parse(text, "test.yaml").unwrap(), 401, &[], json!({})).await;
    assert!(error.message.starts_with("The application does not accept the password"), "{error}");
    assert_eq!(calls, 1, "nothing is asked any more, because wrong guesses lock accounts");
}

#[tokio::test]
async fn quotations_are_short_clean_and_without_secrets() {
    let encoded: String = url::form_urlencoded::byte_serialize(TOKEN.as_bytes()).collect();
    let text = format!("bad token {TOKEN} in\r\n\u{1b}[31m?t={encoded} {}", "x".repeat(1000));
    let (error, _) = refused(one_page(), 401, &[], json!({"message": text})).await;
    let shown = error.message.split_once('“').unwrap().1;
    assert!(shown.starts_with("bad token ••• in [31m?t=••• xxx"), "{shown}");
    assert!(shown.chars().count() <= 203, "{shown}");
    assert!(!format!("{error:?}").contains("canary"));

    let peer = Peer::answering(|_, _| respond(400, &[("content-type", "text/plain")], format!("no {TOKEN}"))).await;
    let error = ids(&source(one_page(), &peer.origin)).await.unwrap_err();
    assert!(error.message.ends_with("It said: “no •••”."), "{}", error.message);

    let page = |_: usize, _: &Call| respond(403, &[("content-type", "text/html")], "<p>no page</p>".to_owned());
    let error = ids(&source(one_page(), &Peer::answering(page).await.origin)).await.unwrap_err();
    assert!(!error.message.contains("It said"), "{}", error.message);
}
