//! How responses without a token are classified, and how much of them error messages quote.

use super::*;

type Headers = &'static [(&'static str, &'static str)];

async fn refused(manifest: &Arc<Manifest>, status: u16, headers: Headers, body: &str) -> SourceError {
    let body = body.to_owned();
    let peer = Peer::answering(move |_, _| respond(status, headers, body.clone())).await;
    let error = ids(&signed_in(manifest, config(&peer, &[]), settings())).await.unwrap_err();
    assert!(peer.uris().iter().all(|uri| uri == "/token"));
    assert_eq!(error.http_status, Some(status));
    error
}

#[tokio::test]
async fn every_answer_has_its_class() {
    use ErrorClass::{Config, Permission, RateLimit, Token, Transient};
    let manifest = client_credentials("");
    let wait: Headers = &[("retry-after", "999")];
    let html: Headers = &[("content-type", "text/html")];
    let moved: Headers = &[("location", "https://elsewhere.example.com/")];
    let cases: [(u16, Headers, &str, ErrorClass, bool, &str); 32] = [
        (400, &[], r#"{"error": "invalid_grant"}"#, Token, true, "invalid_grant"),
        (403, &[], r#"{"error": "invalid_grant"}"#, Token, true, "does not accept the grant"),
        (401, &[], r#"{"error": "invalid_client"}"#, Token, true, "id, or its secret"),
        (400, &[], r#"{"error": "unauthorized_client", "error_description": "Ask Ann"}"#, Token, true, "“Ask Ann”"),
        (401, &[], r#"{"errorCode": "invalid_client", "errorSummary": "Unknown"}"#, Token, true, "“Unknown”"),
        (400, &[], r#"{"error": "consent_required"}"#, Token, true, "consent_required"),
        (400, &[], r#"{"error": "invalid_scope"}"#, Permission, false, "users.read"),
        (403, &[], r#"{"error": "access_denied"}"#, Permission, false, "permissions"),
        (400, &[], r#"{"error": "slow_down"}"#, RateLimit, false, "slow down"),
        (429, wait, "", RateLimit, false, "slow down"),
        (429, wait, r#"{"error": "invalid_grant"}"#, RateLimit, false, "slow down"),
        (500, &[], r#"{"error": "invalid_client"}"#, Transient, false, "error of its own"),
        (502, html, "<html>Bad gateway</html>", Transient, false, "error of its own"),
        (401, &[], "", Token, false, "does not accept"),
        (403, &[], "{}", Permission, false, "permissions"),
        (403, wait, "{}", RateLimit, false, "slow down"),
        (403, &[], "<html>a wall</html>", Transient, false, "in front of the application"),
        (401, html, "<html>a wall</html>", Transient, false, "in front of the application"),
        (400, &[], r#"{"error": "unsupported_grant_type"}"#, Config, false, "unsupported_grant_type"),
        (404, html, "<html>Not here</html>", Config, false, "leads nowhere"),
        (302, moved, "", Config, false, "another address"),
        (200, html, "<html>Please sign in</html>", Config, false, "web page"),
        (200, &[], r#"{"ok": true}"#, Config, false, "no token"),
        (200, &[], r#"{"access_token": ""}"#, Config, false, "no token"),
        (200, &[], r#"{"access_token": "t1"#, Transient, false, "breaks off"),
        (200, &[], r#"{"ok": false, "error": "invalid_refresh_token"}"#, Token, true, "invalid_refresh_token"),
        (200, &[], r#"{"ok": false, "error": "invalid_arguments"}"#, Config, false, "no token"),
        (503, wait, "{}", Transient, false, "error of its own"),
        (477, wait, "{}", RateLimit, false, "slow down"),
        (
            400,
            &[],
            r#"{"error": "unknown_error", "error_description": "retry your request"}"#,
            Transient,
            false,
            "retry",
        ),
        (400, &[], r#"{"error": "oops", "error_description": "Please try again."}"#, Transient, false, "“Please"),
        (400, &[], r#"{"error": "invalid_grant", "error_description": "Wrong. Try again."}"#, Token, true, "Wrong"),
    ];
    for (status, headers, body, class, definite, part) in cases {
        let error = refused(&manifest, status, headers, body).await;
        assert_eq!((error.class, error.definite), (class, definite), "{status} {body}: {error}");
        assert!(error.message.contains(part) && error.message.contains("sign-in"), "{status} {body}: {error}");
        assert!(!error.message.contains('<'), "{error}");
        let waits = matches!(class, RateLimit | Transient) && headers == wait;
        assert_eq!(error.retry_after_ms, waits.then_some(999_000), "{error}");
    }
}

#[tokio::test]
async fn a_refused_grant_is_read_with_its_description() {
    use ErrorClass::{Config, RateLimit, Token};
    let manifest = client_credentials("");
    let cases = [
        ("invalid_grant", "login rate exceeded", RateLimit, "slow down"),
        ("invalid_client", "Too many failed attempts. Try again later.", RateLimit, "slow down"),
        ("invalid_grant", "ip restricted or invalid login hours", Config, "at this hour"),
        ("invalid_grant", "Access from your IP address is not allowed", Config, "from its address"),
        ("invalid_client", "The client may not sign in outside of trusted IP ranges", Config, "from its address"),
        ("invalid_grant", "AADSTS53003: blocked by Conditional Access policies.", Config, "from its address"),
        ("invalid_grant", "token request is already being processed", RateLimit, "slow down"),
        ("invalid_grant", "A concurrent refresh is in progress, try again in a moment", RateLimit, "slow down"),
        ("access_denied", "Requests from your IP address are not permitted", Config, "from its address"),
        ("access_denied", "Too many attempts", RateLimit, "slow down"),
        ("invalid_client", "The client_assertion's expiration is too far into the future.", Config, "clock"),
        ("invalid_grant", "Invalid JWT: check your iat and exp values", Config, "clock"),
        ("invalid_client", "AADSTS700024: Client assertion is not within its valid time range.", Config, "clock"),
        ("invalid_grant", "expired access/refresh token", Token, "expired"),
        ("invalid_grant", "Token has been expired or revoked.", Token, "revoked"),
        (
            "invalid_client",
            "Invalid client secret provided. Trace ID: 7 Timestamp: 2026-03-01 12:00:00Z",
            Token,
            "secret",
        ),
        ("invalid_grant", "authentication failure", Token, "grant"),
    ];
    for (code, description, class, part) in cases {
        let body = json!({"error": code, "error_description": description}).to_string();
        let error = refused(&manifest, 400, &[], &body).await;
        assert_eq!((error.class, error.definite), (class, class == Token), "{description}: {error}");
        assert!(error.message.contains(part), "{description}: {error}");
        assert!(error.message.contains(description), "what was said is shown: {error}");
    }
}

#[tokio::test]
async fn a_bad_credential_is_recognised_in_every_form() {
    let manifest = client_credentials("");
    for body in [
        json!({"status": "BAD_REFRESH_TOKEN", "message": "This one is not good any more"}),
        json!({"error": {"code": "InvalidRefreshToken"}}),
        json!({"category": "REFRESH_TOKEN_REVOKED", "status": "error"}),
        json!({"errors": [{"code": "expired_token"}]}),
        json!({"code": "invalid-client-secret"}),
        json!({"message": "The refresh token is expired"}),
        json!({"message": "refresh token has been revoked by the user"}),
        json!({"error": {"message": "Unknown client credentials"}}),
    ] {
        let error = refused(&manifest, 400, &[], &body.to_string()).await;
        assert_eq!((error.class, error.definite), (ErrorClass::Token, true), "{body}: {error}");
    }
    for body in [
        json!({"error": "invalid_request", "error_description": "The refresh token is missing"}),
        json!({"error": "unsupported_grant_type"}),
        json!({"error": "invalid_grant_type"}),
    ] {
        let error = refused(&manifest, 400, &[], &body.to_string()).await;
        assert_eq!((error.class, error.definite), (ErrorClass::Config, false), "{body}: {error}");
    }
}

#[tokio::test]
async fn the_manifest_decides_first() {
    let rules = "errors:
  - {status: [400], when: '$[?@.error == ''invalid_grant'']', is: permission, message: Ask Ben.}
  - {when: '$[?@.ok == false]', is: rate_limit}
error_details: {message: $.why}
rate_limit: {in_body: {at: $.wait, unit: s}}
users:
  path: /users";
    let auth = "  oauth2_client_credentials:
    token_url: '{{config.base_url}}/token'
    client_id: '{{config.id}}'
    client_secret: '{{config.secret}}'";
    let manifest = connector(CLIENT, auth, rules);
    let error = refused(&manifest, 400, &[], r#"{"error": "invalid_grant", "why": "no licence"}"#).await;
    assert_eq!((error.class, error.definite), (ErrorClass::Permission, false));
    assert_eq!(error.message, "Ask Ben. It said: “no licence”.");
    let error = refused(&manifest, 200, &[], r#"{"ok": false, "access_token": "t1", "wait": 900}"#).await;
    assert_eq!((error.class, error.retry_after_ms), (ErrorClass::RateLimit, Some(900_000)));
}

#[tokio::test]
async fn no_error_repeats_a_secret() {
    for (status, method) in [(400, "basic"), (400, "body"), (500, "basic"), (200, "body")] {
        let peer = Peer::answering(move |_, call| {
            let said = format!("{} and {} and {TOKEN}", header(call, "authorization"), call.body);
            respond(status, &[], json!({"error": "invalid_client", "error_description": said}).to_string())
        })
        .await;
        let manifest = client_credentials(&format!("    client_auth: {method}"));
        let error = ids(&signed_in(&manifest, config(&peer, &[]), settings())).await.unwrap_err();
        assert!(error.message.contains("•••"), "{error}");
        let encoded = "canary-6f1d%2F%2B%3D";
        for secret in [TOKEN, encoded, "bXkrYXBwOmNhbmFyeS02ZjFkJTJGJTJCJTNE"] {
            assert!(!error.message.contains(secret), "{error}");
        }
    }
}

#[tokio::test]
async fn no_error_repeats_a_token_that_is_not_where_it_should_be() {
    let plain: Headers = &[("content-type", "text/plain")];
    let manifest = client_credentials("    token_at: $.token");
    for (headers, body) in [(plain, "t0ken-canary"), (&[], r#"{"message": "t0ken-canary"}"#)] {
        let error = refused(&manifest, 200, headers, body).await;
        assert!(!error.message.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named() {
    let peer = Peer { origin: "http://127.0.0.1:1".to_owned(), calls: Arc::default() };
    let error = ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await.unwrap_err();
    assert_eq!((error.class, error.http_status), (ErrorClass::Transient, None));
    assert!(error.message.contains("at sign-in, with 127.0.0.1"), "{error}");

    let origin = raw_peer(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), false).await;
    let peer = Peer { origin, calls: Arc::default() };
    let error = ids(&signed_in(&client_credentials(""), config(&peer, &[]), settings())).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Timeout, "{error}");
}
