//! Refusals by something in front of the application say nothing about the credential.

use super::*;
use crate::source::ErrorClass;

const HTML: &str = "<!DOCTYPE html><html><body>Checking your browser</body></html>";

/// Headers, a body, and whether the refusal is the application's own.
type Case = (&'static [(&'static str, &'static str)], &'static str, bool);

const CASES: [Case; 26] = [
    (&[("content-type", "text/html"), ("cf-mitigated", "challenge")], HTML, false),
    (&[("cf-mitigated", "challenge")], "{}", false),
    (&[("x-amzn-waf-action", "captcha")], "", false),
    (&[("x-datadome", "protected")], r#"{"url": "https://captcha.example.com"}"#, false),
    (&[("content-type", "text/html"), ("server", "awselb/2.0")], "<html><h1>403</h1></html>", false),
    (&[("content-type", "text/html"), ("server", "AkamaiGHost")], "", false),
    (&[("content-type", "text/plain")], "error code: 1020", false),
    (&[("content-type", "text/plain")], "RBAC: access denied", false),
    (&[("content-type", "application/xml")], "<Error><Code>AccessDenied</Code></Error>", false),
    (&[("content-type", "application/json")], HTML, false),
    (&[("content-type", "application/json")], r#"{"cloudflare_error": true, "title": "Error 1010"}"#, false),
    (&[("server", "Zscaler/6.2")], r#"{"error": "Blocked by policy"}"#, false),
    (&[("server", "squid/6.1")], r#"{"error": "ERR_ACCESS_DENIED"}"#, false),
    (&[("server", "BigIP")], "", false),
    (&[("server", "cloudfront")], r#"{"error": "no"}"#, true),
    (&[("server", "zscaler"), ("www-authenticate", "Bearer error=\"invalid_token\"")], "{}", true),
    (&[("x-amzn-errortype", "ForbiddenException")], r#"{"message": "Forbidden"}"#, false),
    (&[("x-amzn-errortype", "ForbiddenException:http://x/")], r#"{"message": "You may not"}"#, true),
    (&[("x-amzn-errortype", "AccessDeniedException")], r#"{"message": "Forbidden"}"#, true),
    (&[], "", true),
    (&[("content-type", "text/html")], "", true),
    (&[], "{}", true),
    (&[("server", "cloudflare")], r#"{"message": "Forbidden"}"#, true),
    (&[("content-type", "text/html"), ("www-authenticate", "Bearer error=\"invalid_token\"")], HTML, true),
    (&[("content-type", "text/html; charset=UTF-8")], r#"{"message": "No."}"#, true),
    (&[("content-type", "application/problem+json")], r#"{"detail": "You may not."}"#, true),
];

async fn refused(manifest: Manifest, status: u16, case: &Case) -> (SourceError, usize) {
    let (headers, body, _) = *case;
    let peer = Peer::answering(move |_, _| respond(status, headers, body)).await;
    let error = ids(&source(manifest, &peer.origin)).await.unwrap_err();
    assert_eq!(error.http_status, Some(status));
    (error, peer.calls().len())
}

#[tokio::test]
async fn a_wall_is_trouble_that_passes() {
    for (status, own) in [(401, ErrorClass::Token), (403, ErrorClass::Permission)] {
        for case in CASES {
            let (error, calls) = refused(one_page(), status, &case).await;
            let expected = if case.2 { (own, 1) } else { (ErrorClass::Transient, 3) };
            assert_eq!((error.class, calls), expected, "{status} {case:?}: {error}");
            assert_eq!(error.message.contains("in front of the application"), !case.2, "{status} {case:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_body_that_repeats_the_status_is_like_no_body() {
    use ErrorClass::{Permission, Token, Transient};
    for (status, body, class) in [
        (403, "Forbidden\n", Permission),
        (403, "403 Forbidden", Permission),
        (401, "401: unauthorized.", Transient),
        (401, "Unauthorized", Token),
        (401, "Forbidden", Transient),
        (401, "unauthorized: ask Ann", Transient),
    ] {
        let (error, _) = refused(one_page(), status, &(&[("content-type", "text/plain")], body, true)).await;
        assert_eq!(error.class, class, "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn a_wall_is_found_at_the_sign_in_and_whatever_its_status() {
    let challenge: Case = (&[("x-amzn-waf-action", "challenge")], "", false);
    let (error, _) = refused(one_page(), 202, &challenge).await;
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    let html: Case = (&[("content-type", "text/html")], HTML, false);
    for (status, class) in [(405, ErrorClass::Transient), (404, ErrorClass::Config), (400, ErrorClass::Config)] {
        let (error, _) = refused(one_page(), status, &html).await;
        assert_eq!(error.class, class, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_manifest_knows_the_form_of_its_own_refusals() {
    let plain: Case = (&[("content-type", "text/plain")], "The scope 'members.read' is missing, too: 'a' 'b'.", true);
    let own_form = "error_details: {plain_text: true}";
    let (error, _) = refused(manifest("  pages: none\n  records: $.users", own_form), 403, &plain).await;
    assert_eq!(error.class, ErrorClass::Permission, "{error}");

    let rules = r#"
errors:
  - {status: [400, 403], text: "(?i)scope '[a-z.]+' is missing", is: permission}
  - {text: '<h1>Closed on \w+</h1>', is: config, message: Ask on Monday.}
error_details: {permission_pattern: "scope '([a-z.]+)'"}
"#;
    let rules = || manifest("  pages: none\n  records: $.users", rules);
    let (error, _) = refused(rules(), 400, &plain).await;
    assert_eq!((error.class, error.missing_permissions), (ErrorClass::Permission, vec!["members.read".to_owned()]));
    // A rule about the status alone cannot tell a wall from the application.
    let status = || {
        manifest("  pages: none\n  records: $.users", "errors: [{status: [403], is: permission, message: Ask Ann.}]")
    };
    for (case, class) in
        [(&[("server", "Zscaler/6.2")][..], ErrorClass::Transient), (&[("server", "nginx")], ErrorClass::Permission)]
    {
        let (error, _) = refused(status(), 403, &(case, r#"{"error": "Blocked by policy"}"#, false)).await;
        assert_eq!(error.class, class, "{error}");
        assert_eq!(error.message.starts_with("Ask Ann."), class == ErrorClass::Permission, "{error}");
    }
    let closed: Case = (&[("content-type", "text/html")], "<html><h1>Closed on Sunday</h1></html>", true);
    for status in [200, 401, 503] {
        let (error, _) = refused(rules(), status, &closed).await;
        assert_eq!((error.class, error.message.as_str()), (ErrorClass::Config, "Ask on Monday."), "{status}");
    }
    let json: Case = (&[], r#"{"why": "the scope 'x.y' is missing"}"#, true);
    assert_eq!(refused(rules(), 403, &json).await.0.missing_permissions, ["x.y"]);
}
