//! The authorization code flow: the authorization URL, and the exchange of the code.

use super::*;
use crate::engine::CodeFlow;
use crate::grant::Grant;

const BACK: &str = "https://muster.example.com/oauth/callback";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn manifest(more: &str) -> Arc<Manifest> {
    let auth = format!(
        "  oauth2_authorization_code:
    authorize_url: '{{{{config.base_url}}}}/authorize'
    token_url: '{{{{config.base_url}}}}/token'
    client_id: '{{{{config.id}}}}'
{more}"
    );
    let fields = if more.contains("config.secret") { CLIENT } else { "  - {key: id, label: Id, type: text}" };
    connector(fields, &auth, "")
}

const SECRET: &str = "    client_secret: '{{config.secret}}'\n";

fn flow(manifest: &Arc<Manifest>, peer: &Peer) -> CodeFlow {
    let mut config = config(peer, &[]);
    config.retain(|key, _| manifest.field(key).is_some());
    CodeFlow::of(manifest, &config, &Client::new(settings()).unwrap()).unwrap().unwrap()
}

async fn exchanged(manifest: &Arc<Manifest>, peer: &Peer) -> Result<Grant, SourceError> {
    flow(manifest, peer).exchange(BACK, "code-canary", VERIFIER).await
}

#[tokio::test]
async fn the_address_has_all_that_is_asked_for() {
    let peer = Peer::always(200, json!({})).await;
    let manifest =
        manifest(&format!("{SECRET}    scopes: [a, b]\n    authorize_params: {{access_type: offline, nothing: ''}}"));
    let url = flow(&manifest, &peer).authorization_url(BACK, "st&te", VERIFIER).unwrap();
    assert!(url.as_str().starts_with(&format!("{}/authorize?", peer.origin)));
    let sent: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "my app"),
        ("redirect_uri", BACK),
        ("state", "st&te"),
        ("scope", "a b"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ];
    assert_eq!(sent, pairs(expected));
    assert!(!url.as_str().contains("canary"));
    assert!(peer.calls().is_empty());
}

#[tokio::test]
async fn without_pkce_nothing_is_said_of_it() {
    let peer = Peer::always(200, json!({"access_token": "a1"})).await;
    let manifest = manifest(&format!("{SECRET}    pkce: false\n    client_auth: body\n    params: {{tenant: t}}"));
    let url = flow(&manifest, &peer).authorization_url(BACK, "state", VERIFIER).unwrap();
    assert!(!url.as_str().contains("challenge") && !url.as_str().contains("scope"), "{url}");
    exchanged(&manifest, &peer).await.unwrap();
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "code-canary"),
        ("redirect_uri", BACK),
        ("tenant", "t"),
        ("client_id", "my app"),
        ("client_secret", TOKEN),
    ];
    assert_eq!(form(&peer.calls()[0]), pairs(expected));
}

#[tokio::test]
async fn a_code_is_exchanged_for_a_grant() {
    let answer = json!({
        "access_token": "wrong", "refresh_token": "wrong", "expires_in": 43200,
        "authed_user": {"access_token": "a1", "refresh_token": "r1"}, "team": {"id": "T1"},
    });
    let peer = Peer::always(200, answer).await;
    let manifest = manifest(&format!(
        "{SECRET}    token_at: $.authed_user.access_token
    refresh_token_at: $.authed_user.refresh_token
    keep: {{team: $.team.id, other: $.other}}"
    ));
    let grant = exchanged(&manifest, &peer).await.unwrap();
    assert_eq!((grant.access_token.as_str(), grant.refresh_token.as_deref()), ("a1", Some("r1")));
    assert_eq!((grant.expires_at, grant.refresh_expires_at), (Some(NOW + 43_200_000), None));
    assert_eq!(grant.found, [("team".to_owned(), "T1".to_owned())].into());
    assert_eq!(form(&peer.calls()[0])["code_verifier"], VERIFIER);
    assert!(header(&peer.calls()[0], "authorization").starts_with("Basic "));
}

#[tokio::test]
async fn a_public_client_gives_its_id_only() {
    let peer = Peer::always(200, json!({"access_token": "a1"})).await;
    exchanged(&manifest("    client_auth: none"), &peer).await.unwrap();
    let sent = form(&peer.calls()[0]);
    assert_eq!((sent["client_id"].as_str(), sent["code_verifier"].as_str()), ("my app", VERIFIER));
    assert!(!sent.contains_key("client_secret"));
    assert_eq!(header(&peer.calls()[0], "authorization"), "");
}

#[tokio::test]
async fn a_refused_code_is_beyond_doubt_and_not_repeated() {
    for (status, code) in [(400, "invalid_grant"), (200, "invalid_code"), (200, "bad_verification_code")] {
        let peer = Peer::answering(move |_, call| {
            let why = format!("{code}: {} is not a code", call.body);
            respond(status, &[], json!({"ok": false, "error": code, "error_description": why}).to_string())
        })
        .await;
        let error = exchanged(&manifest(SECRET), &peer).await.err().unwrap();
        assert_eq!((error.class, error.definite), (ErrorClass::Token, true), "{error}");
        assert!(error.message.contains(code), "{error}");
        for secret in ["canary", VERIFIER] {
            assert!(!error.message.contains(secret), "{error}");
        }
        assert_eq!(peer.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_code_is_not_sent_twice() {
    let peer = Peer::always(500, json!({})).await;
    let error = exchanged(&manifest(SECRET), &peer).await.err().unwrap();
    assert_eq!((error.class, error.definite), (ErrorClass::Transient, false));
    assert_eq!(peer.calls().len(), 1);
}

#[tokio::test]
async fn consent_is_for_those_who_need_it() {
    let peer = Peer::always(200, json!({})).await;
    let client = Client::new(settings()).unwrap();
    let none = CodeFlow::of(&client_credentials(""), &config(&peer, &[]), &client).unwrap();
    assert!(none.is_none());
    let error = CodeFlow::of(&manifest(SECRET), &Config::new(), &client).err().unwrap();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("Address is required"), "{error}");
}
