//! Automatic persisted queries, as Apollo's clients send them: the extension `persistedQuery` carries the SHA-256 of a
//! document, at first without the document. If the server does not know it, the client sends both.

use async_graphql::{Extensions, ServerError, Value};

use crate::graphql::documents::Hash;
use crate::graphql::error::{Code, error};

/// The extension of a request.
pub const EXTENSION: &str = "persistedQuery";

/// The hash that a client claims its document to have.
pub(super) struct Claim<'a>(&'a str);

impl Claim<'_> {
    /// `None` if no document can have it.
    pub(super) fn hash(&self) -> Option<Hash> {
        let mut hash = Hash::default();
        let (pairs, rest) = self.0.as_bytes().as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(pairs) {
            let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(hash)
    }

    /// The hash of the document, if it is the claimed one.
    pub(super) fn check(&self, hash: Hash) -> Result<Hash, ServerError> {
        if self.hash() == Some(hash) {
            return Ok(hash);
        }
        Err(error(Code::BadRequest, "provided sha does not match query"))
    }
}

/// The hash that the extensions of a request claim, if any.
pub(super) fn claim(extensions: &Extensions) -> Result<Option<Claim<'_>>, ServerError> {
    let extension = match extensions.0.get(EXTENSION) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(extension)) => extension,
        Some(_) => return Err(error(Code::BadRequest, "The extension persistedQuery must be an object.")),
    };
    if extension.get("version") != Some(&Value::from(1)) {
        return Err(error(Code::BadRequest, "Unsupported persisted query version"));
    }
    match extension.get("sha256Hash") {
        Some(Value::String(hash)) => Ok(Some(Claim(hash))),
        _ => Err(error(Code::BadRequest, "The extension persistedQuery needs a sha256Hash.")),
    }
}

/// The error that asks the client to send the document.
pub(super) fn not_found() -> ServerError {
    error(Code::PersistedQueryNotFound, "PersistedQueryNotFound")
}
