//! Verifies an ID token (OpenID Connect Core, 3.1.3.7).
//!
//! The library verifies the signature, the issuer, the audience, the nonce and the end. It leaves the rest to its user:
//! which keys are good enough, that the token names its key, the authorized party, and the other times.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, IdToken, IdTokenVerifier, IssuerUrl, JsonWebKey, Nonce,
    SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::date_time;

/// Never `none`, and no algorithm whose key is the client secret.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// How far the clock of the identity provider may be off.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// How long before its verification a token may have been issued. It was exchanged for a code just now.
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);
/// The shortest RSA key, in bytes.
const MIN_RSA: usize = 256;
/// The longest subject (OpenID Connect Core, 2).
const MAX_SUBJECT: usize = 255;

/// The claims of a token, or of a response of the userinfo endpoint.
pub(super) type Claims = Map<String, Value>;

/// The public keys of the identity provider.
#[derive(Clone)]
pub(super) struct Keys(CoreJsonWebKeySet);

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// The time, in Unix milliseconds.
    pub(super) now: i64,
}

/// The claims that the library does not know.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Further {
    #[serde(flatten)]
    all: Claims,
}

impl AdditionalClaims for Further {}

type Token = IdToken<Further, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

impl Keys {
    /// Reads a key set. Keys that are no public keys for signatures, or that are too short, are left out.
    pub(super) fn read(document: &[u8]) -> Result<Self, &'static str> {
        let mut document: Value = serde_json::from_slice(document).map_err(|_| "its keys are not JSON")?;
        let keys = document.get_mut("keys").and_then(Value::as_array_mut).ok_or("it publishes no list of keys")?;
        keys.retain(is_usable);
        serde_json::from_value(document).map(Self).map_err(|_| "its keys cannot be read")
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.0.keys().iter().any(|key| key.key_id().is_some_and(|known| known.as_str() == id))
    }
}

fn is_usable(key: &Value) -> bool {
    let is_public = ["d", "k"].iter().all(|private| key.get(private).is_none());
    let length = || URL_SAFE_NO_PAD.decode(key.get("n")?.as_str()?).ok().map(|modulus| modulus.len());
    is_public && (key.get("kty").is_none_or(|kind| kind != "RSA") || length().is_some_and(|length| length >= MIN_RSA))
}

/// The key that a token says it was signed with.
pub(super) fn key_id(token: &str) -> Result<String, &'static str> {
    #[derive(Deserialize)]
    struct Header {
        kid: Option<String>,
    }
    let header = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Header>(&header).ok());
    header.ok_or("its ID token has no readable header")?.kid.ok_or("its ID token does not name its key")
}

/// The claims of a token that is what we expect.
pub(super) fn verify(token: &str, keys: &Keys, expected: &Expected<'_>) -> Result<Claims, &'static str> {
    let token: Token = token.parse().map_err(|_| "its ID token cannot be read")?;
    let now = date_time(expected.now);
    let issuer = IssuerUrl::new(expected.issuer.to_owned()).map_err(|_| "the issuer is not an address")?;
    let client_id = ClientId::new(expected.client_id.to_owned());
    let verifier = IdTokenVerifier::new_public_client(client_id.clone(), issuer, keys.0.clone())
        .set_allowed_algs(HashSet::from(ALGORITHMS))
        .set_time_fn(|| now - LEEWAY)
        .set_issue_time_verifier_fn(|issued| {
            let in_time = issued <= now + LEEWAY && issued >= now - MAX_AGE - LEEWAY;
            if in_time { Ok(()) } else { Err(String::new()) }
        });
    let claims = token.claims(&verifier, &Nonce::new(expected.nonce.to_owned())).map_err(|error| describe(&error))?;
    if claims.authorized_party().is_some_and(|party| *party != client_id) {
        return Err("its ID token was issued for another application (azp)");
    }
    if let Some(not_before) = claims.additional_claims().all.get("nbf") {
        let not_before = not_before.as_f64().ok_or("its ID token has an unreadable nbf")?;
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below the limit of exact numbers")]
        let latest = (now + LEEWAY).timestamp() as f64;
        if not_before > latest {
            return Err("its ID token is not valid yet (nbf)");
        }
    }
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
        return Err("its ID token has no usable subject");
    }
    match serde_json::to_value(claims) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err("its ID token cannot be read"),
    }
}

/// Without anything that the token says, because that goes to the log.
fn describe(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "its ID token has expired, or was issued at another time",
        ClaimsVerificationError::InvalidAudience(_) => "its ID token is for another application (aud)",
        ClaimsVerificationError::InvalidIssuer(_) => "its ID token has another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "its ID token is not for this sign-in (nonce)",
        ClaimsVerificationError::SignatureVerification(error) => match error {
            SignatureVerificationError::DisallowedAlg(_) | SignatureVerificationError::UnsupportedAlg(_) => {
                "its ID token is signed with an algorithm that is not accepted"
            }
            SignatureVerificationError::NoSignature => "its ID token is not signed",
            SignatureVerificationError::NoMatchingKey => "its ID token is signed with a key that it does not publish",
            SignatureVerificationError::AmbiguousKeyId(_) => "it publishes several keys of the same id",
            SignatureVerificationError::InvalidKey(_) => "the key of its ID token cannot be used",
            _ => "its ID token has a wrong signature",
        },
        _ => "its ID token is not a plain signed token",
    }
}
