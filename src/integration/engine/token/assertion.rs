//! Signed assertions: JSON Web Tokens (RFC 7519) in compact form (RFC 7515).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::endpoint::TokenEndpoint;
use crate::manifest::auth::Algorithm;
use crate::manifest::template::Template;
use crate::source::{ErrorClass, SourceError};

/// The private key that signs assertions.
pub struct Key<'a> {
    /// PKCS#8, PKCS#1 or SEC1, as PEM.
    pub pem: &'a Template,
    /// The id under which the application knows the key (`kid`).
    pub id: Option<&'a Template>,
    pub algorithm: Algorithm,
}

impl Key<'_> {
    pub fn sign(&self, endpoint: &TokenEndpoint, claims: &Value) -> Result<String, SourceError> {
        let id = self.id.map(|id| endpoint.expand(id)).filter(|id| !id.is_empty());
        signed(self.algorithm, &endpoint.expand(self.pem), id.as_deref(), claims)
    }
}

/// A unique id for an assertion (`jti`).
pub fn new_id(endpoint: &TokenEndpoint) -> String {
    let settings = endpoint.client.settings();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a random number from 0 to 1")]
    let random = || (f64::from(u32::MAX) * (settings.random)().clamp(0.0, 1.0)) as u32;
    format!("{:x}-{:08x}{:08x}{:08x}", endpoint.now(), random(), random(), random())
}

pub fn unusable() -> SourceError {
    let message = "The private key cannot be used: paste the whole PEM text, from -----BEGIN to the END line, \
                   without a password.";
    SourceError::new(ErrorClass::Config, message)
}

fn signed(algorithm: Algorithm, pem: &str, id: Option<&str>, claims: &Value) -> Result<String, SourceError> {
    let (name, scheme) = match algorithm {
        Algorithm::Rs256 => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        Algorithm::Es256 => ("ES256", SignatureScheme::ECDSA_NISTP256_SHA256),
    };
    // Keys copied from JSON have their line breaks escaped.
    let pem = pem.replace("\\n", "\n");
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unusable())?;
    let key = any_supported_type(&der).map_err(|_| unusable())?;
    let signer = key.choose_scheme(&[scheme]).ok_or_else(|| {
        let needed = match algorithm {
            Algorithm::Rs256 => "an RSA key",
            Algorithm::Es256 => "an elliptic key on P-256",
        };
        SourceError::new(ErrorClass::Config, format!("The private key does not fit: {name} needs {needed}."))
    })?;

    let mut header = json!({"alg": name, "typ": "JWT"});
    if let Some(id) = id {
        header["kid"] = id.into();
    }
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let payload = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = signer.sign(payload.as_bytes()).map_err(|_| unusable())?;
    let signature = match algorithm {
        Algorithm::Rs256 => signature,
        Algorithm::Es256 => fixed_length(&signature).ok_or_else(unusable)?,
    };
    Ok(format!("{payload}.{}", encode(&signature)))
}

/// Converts an ECDSA signature on P-256 from DER to the 64 bytes of RFC 7518, 3.4.
fn fixed_length(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, _, rest @ ..] = der else { return None };
    let mut rest = rest;
    let mut both = Vec::with_capacity(64);
    for _ in 0..2 {
        let [0x02, length, tail @ ..] = rest else { return None };
        let (number, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        // A leading zero only shows that the number is positive.
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        both.extend(std::iter::repeat_n(0, 32_usize.checked_sub(number.len())?));
        both.extend_from_slice(number);
    }
    Some(both)
}

#[cfg(test)]
mod tests {
    use super::fixed_length;

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let number = |n: &[u8]| [&[0x02, u8::try_from(n.len()).unwrap()], n].concat();
        let both = [number(r), number(s)].concat();
        [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
    }

    #[test]
    fn the_numbers_of_a_signature_are_padded_and_stripped() {
        let long = [&[0_u8][..], &[0xff; 32]].concat();
        let both = fixed_length(&der(&long, &[7])).unwrap();
        assert_eq!(both[..32], [0xff; 32]);
        assert_eq!((both[32..63].to_vec(), both[63]), (vec![0; 31], 7));
        assert_eq!(both.len(), 64);
    }

    #[test]
    fn invalid_signatures_are_rejected() {
        for bytes in [&[][..], &[0x30], &[0x30, 2, 2, 200], &[0x31, 6, 2, 1, 1, 2, 1, 1], &der(&[1; 40], &[1])] {
            assert!(fixed_length(bytes).is_none(), "{bytes:?}");
        }
    }
}
