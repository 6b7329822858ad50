//! Signed assertions: their claims, and their signatures.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

use super::*;

/// A key for these tests only, in PKCS#8.
const RSA: &str = include_str!("rsa.pem");

const KEYED: &str = "  - {key: id, label: Id, type: text}\n  - {key: private_key, label: Key, type: secret_text}";

/// A private key in several PEM forms, and its public key.
struct Pair {
    pems: Vec<String>,
    public: UnparsedPublicKey<Vec<u8>>,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

fn key_pair(algorithm: &'static dyn VerificationAlgorithm, public: &[u8], pems: Vec<String>) -> Pair {
    Pair { pems, public: UnparsedPublicKey::new(algorithm, public.to_vec()) }
}

fn rsa() -> Pair {
    let base64: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(base64).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    // The PKCS#1 key follows the PKCS#8 header of 26 bytes.
    let pkcs1 = pem("RSA PRIVATE KEY", &der[26..]);
    let one_line = RSA.trim().replace('\n', "\\n");
    key_pair(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref(), vec![RSA.to_owned(), pkcs1, one_line])
}

fn elliptic() -> Pair {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let der = der.as_ref();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).unwrap();
    let inner = der.windows(5).position(|bytes| bytes == [0x30, 0x6b, 2, 1, 1]).unwrap();
    let pems = vec![pem("PRIVATE KEY", der), pem("EC PRIVATE KEY", &der[inner..])];
    key_pair(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref(), pems)
}

/// Verifies the signature of an assertion, and returns its header and claims.
fn verified(pair: &Pair, statement: &str) -> (Value, Value) {
    let (said, signature) = statement.rsplit_once('.').unwrap();
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    pair.public.verify(said.as_bytes(), &decode(signature)).expect("the signature is not that of the key");
    let (header, claims) = said.split_once('.').unwrap();
    let json = |part| serde_json::from_slice(&decode(part)).unwrap();
    (json(header), json(claims))
}

/// The form sent to the token endpoint.
async fn sent(manifest: &Arc<Manifest>, pem: &str, origin: &mut String) -> BTreeMap<String, String> {
    let peer = application(vec![given("t1")], &["t1"]).await;
    let mut config = config(&peer, &[("private_key", pem)]);
    config.remove("secret");
    assert_eq!(ids(&signed_in(manifest, config, settings())).await.unwrap(), ["1"]);
    origin.clone_from(&peer.origin);
    form(&peer.calls()[0])
}

#[tokio::test]
async fn a_client_shows_itself_by_a_signed_statement() {
    for (algorithm, pair) in [("RS256", rsa()), ("ES256", elliptic())] {
        let auth = format!(
            "  oauth2_client_credentials:
    token_url: '{{{{config.base_url}}}}/token'
    client_id: '{{{{config.id}}}}'
    client_auth: private_key_jwt
    private_key: '{{{{config.private_key}}}}'
    key_id: key-1
    algorithm: {algorithm}
    scopes: [users.read]"
        );
        let manifest = connector(KEYED, &auth, "");
        let mut origin = String::new();
        for pem in &pair.pems {
            let mut form = sent(&manifest, pem, &mut origin).await;
            let (header, mut claims) = verified(&pair, &form.remove("client_assertion").unwrap());
            assert_eq!(header, json!({"alg": algorithm, "typ": "JWT", "kid": "key-1"}));
            assert!(claims["jti"].take().as_str().is_some_and(|id| id.len() >= 32));
            let now = NOW / 1000;
            let expected = json!({
                "iss": "my app", "sub": "my app", "aud": format!("{origin}/token"),
                "iat": now, "exp": now + 300, "jti": null,
            });
            assert_eq!(claims, expected);
            let expected = [
                ("grant_type", "client_credentials"),
                ("scope", "users.read"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ];
            assert_eq!(form, pairs(expected));
        }
    }
}

fn service_account(more: &str) -> Arc<Manifest> {
    let auth = format!(
        "  jwt_bearer:
    token_url: '{{{{config.base_url}}}}/token'
    private_key: '{{{{config.private_key}}}}'
    issuer: '{{{{config.id}}}}'
{more}"
    );
    connector(KEYED, &auth, "")
}

#[tokio::test]
async fn a_statement_is_exchanged_for_a_token() {
    let pair = rsa();
    let mut origin = String::new();
    let more = "    subject: admin@example.com\n    scopes: [a, b]\n    lifetime_seconds: 600\n    audience: elsewhere";
    let mut form = sent(&service_account(more), RSA, &mut origin).await;
    let (header, mut claims) = verified(&pair, &form.remove("assertion").unwrap());
    assert_eq!(form, pairs([("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")]));
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT"}));
    claims["jti"].take();
    let now = NOW / 1000;
    let expected = json!({
        "iss": "my app", "sub": "admin@example.com", "aud": "elsewhere", "scope": "a b",
        "iat": now, "exp": now + 600, "jti": null,
    });
    assert_eq!(claims, expected);

    let form = sent(&service_account(""), RSA, &mut origin).await;
    let (_, claims) = verified(&pair, &form["assertion"]);
    assert_eq!((claims.get("sub"), claims.get("scope")), (None, None));
    assert_eq!(claims["aud"], format!("{origin}/token"));
    assert_eq!(claims["exp"], now + 3600);
}

#[tokio::test]
async fn each_attempt_has_a_statement_of_its_own() {
    let peer = application(vec![(503, json!({})), given("t1")], &["t1"]).await;
    let mut config = config(&peer, &[("private_key", RSA)]);
    config.remove("secret");
    let number = AtomicI64::new(0);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let random = move || number.fetch_add(1, Ordering::SeqCst) as f64 / 100.0;
    let settings = ClientSettings { random: Arc::new(random), ..settings() };
    ids(&signed_in(&service_account(""), config, settings)).await.unwrap();
    let pair = rsa();
    let names: Vec<_> = peer.calls()[..2].iter().map(|call| verified(&pair, &form(call)["assertion"]).1).collect();
    assert_ne!(names[0]["jti"], names[1]["jti"]);
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_a_fault_of_the_settings() {
    let curve = elliptic().pems.remove(0);
    let cut = RSA.replace("MII", "");
    for (key, part) in [
        ("-----BEGIN nonsense", "PEM"),
        (cut.as_str(), "PEM"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----", "without a password"),
        (curve.as_str(), "RS256 needs an RSA key"),
    ] {
        let peer = application(vec![given("t1")], &["t1"]).await;
        let mut config = config(&peer, &[("private_key", key)]);
        config.remove("secret");
        let error = ids(&signed_in(&service_account(""), config, settings())).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Config);
        assert!(error.message.contains(part), "{error}");
        assert!(peer.calls().is_empty());
    }
}

#[tokio::test]
async fn a_clock_that_differs_is_named_where_a_signed_statement_is_refused() {
    let manifest = service_account("");
    let refused = async |date: &'static str, body: Value| {
        let peer = Peer::answering(move |_, _| respond(400, &[("date", date)], body.to_string())).await;
        let mut config = config(&peer, &[("private_key", RSA)]);
        config.remove("secret");
        ids(&signed_in(&manifest, config, settings())).await.unwrap_err()
    };
    let (same, later) = ("Sun, 01 Mar 2026 12:00:01 GMT", "Sun, 01 Mar 2026 12:20:00 GMT");
    let bare = json!({"error": "invalid_grant"});
    let explained = |why: &str| json!({"error": "invalid_grant", "error_description": why});
    let cases = [
        (later, explained("Invalid JWT: iat and exp are not within the allowed time"), ErrorClass::Config, true),
        (later, bare.clone(), ErrorClass::Config, true),
        (later, explained("Invalid JWT Signature."), ErrorClass::Token, true),
        (same, explained("The assertion has expired"), ErrorClass::Config, false),
        (same, bare, ErrorClass::Token, false),
    ];
    for (date, body, class, named) in cases {
        let error = refused(date, body.clone()).await;
        assert_eq!(error.class, class, "{body}: {error}");
        assert_eq!(error.message.contains("clock is 20 minutes behind"), named, "{body}: {error}");
    }
}
