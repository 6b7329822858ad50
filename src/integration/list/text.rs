//! Decodes a file into text.

use encoding_rs::{DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::{Deserialize, Serialize};

/// The encoding of a file. A byte order mark at its beginning takes precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum), graphql(name = "ListEncoding"))]
pub enum Encoding {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    #[cfg_attr(feature = "graphql", graphql(name = "UTF_8"))]
    Utf8,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    #[cfg_attr(feature = "graphql", graphql(name = "UTF_16LE"))]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    #[cfg_attr(feature = "graphql", graphql(name = "UTF_16BE"))]
    Utf16Be,
    /// That of Western European Windows; also for ISO 8859-1.
    #[serde(rename = "windows-1252")]
    #[cfg_attr(feature = "graphql", graphql(name = "WINDOWS_1252"))]
    Windows1252,
}

impl Encoding {
    pub const ALL: [Self; 4] = [Self::Utf8, Self::Utf16Le, Self::Utf16Be, Self::Windows1252];

    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The encoding of this name, in any of its usual spellings.
    pub fn find(name: &str) -> Option<Self> {
        let found = encoding_rs::Encoding::for_label(name.as_bytes())?;
        Self::ALL.into_iter().find(|encoding| encoding.inner() == found)
    }

    fn inner(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Windows1252 => WINDOWS_1252,
        }
    }
}

pub(super) struct Decoder {
    inner: encoding_rs::Decoder,
}

impl Decoder {
    pub fn new(encoding: Encoding) -> Self {
        Self { inner: encoding.inner().new_decoder() }
    }

    /// Appends the text of the bytes. What cannot be decoded ends it.
    pub fn decode(&mut self, mut bytes: &[u8], last: bool, text: &mut String) -> Result<(), String> {
        loop {
            let room = self.inner.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
            text.reserve(room.max(16));
            let (result, read) = self.inner.decode_to_string_without_replacement(bytes, text, last);
            bytes = bytes.get(read..).unwrap_or_default();
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => return Err(self.not_decoded()),
            }
        }
        if text.contains('\0') {
            let message = "The text contains the character with the number 0. The file may be UTF-16 without a byte \
                order mark: say its encoding.";
            return Err(message.to_owned());
        }
        Ok(())
    }

    fn not_decoded(&self) -> String {
        let name = self.inner.encoding().name();
        let others: Vec<_> =
            Encoding::ALL.into_iter().filter(|one| one.inner() != self.inner.encoding()).map(Encoding::name).collect();
        format!("The text is not {name}. Say its encoding: {}.", others.join(", "))
    }
}
