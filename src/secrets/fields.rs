//! What sealed values and authenticated rows are bound to.

use ring::digest::{SHA256, digest};

/// A SHA-256.
pub type Digest = [u8; 32];

/// Values in one unambiguous sequence of bytes: each begins with its length.
#[derive(Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        self.0.push(1);
        self.0.extend((value.len() as u64).to_be_bytes());
        self.0.extend(value);
        self
    }

    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A value that may be missing. `of` adds it if it is there.
    #[must_use]
    pub fn optional<T>(mut self, value: Option<T>, of: impl FnOnce(Self, T) -> Self) -> Self {
        if let Some(value) = value {
            return of(self, value);
        }
        self.0.push(0);
        self
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        let mut bytes = Digest::default();
        bytes.copy_from_slice(digest(&SHA256, &self.0).as_ref());
        bytes
    }
}

/// Where a sealed value belongs. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'a str,
    pub column: &'a str,
    /// The primary key of the row.
    pub row: &'a [u8],
    /// Changes with each new value, so that an older value does not open in its place.
    pub generation: i64,
    /// The digest of everything that decides where the value is sent.
    pub destination: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_fields_have_different_bytes() {
        let text = |fields: &[&str]| fields.iter().fold(Fields::default(), |all, field| all.text(field)).digest();
        let all = [
            text(&["ab", "c"]),
            text(&["a", "bc"]),
            text(&["abc"]),
            text(&["abc", ""]),
            Fields::default().text("abc").optional(None::<&str>, Fields::text).digest(),
            Fields::default().optional(None::<&str>, Fields::text).text("abc").digest(),
            Fields::default().number(1).digest(),
            Fields::default().number(-1).digest(),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }
}
