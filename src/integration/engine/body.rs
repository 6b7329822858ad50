//! From the bytes of a response to JSON, and to the list in it.
//!
//! A page is read whole or not at all. A record that cannot be read fails the whole page,
//! because a user who is left out would look like one who has left.

use reqwest::StatusCode;
use serde_json::Value;
use serde_json::error::Category;

use crate::manifest::expr::Document;
use crate::manifest::listing::List;
use crate::manifest::records::NoRecords;

/// The longest external id, in bytes.
pub(super) const MAX_ID: usize = 512;
/// The most values on a page. A value takes at least two bytes of JSON, and about 180 bytes of memory.
const MAX_VALUES: usize = 1_250_000;

/// Every whole number of this many digits fits into 64 bits.
const MAX_DIGITS: usize = 19;

/// Why a page cannot be read. Each text is a clause about “the page”.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("it is empty")]
    Empty,
    #[error("it is a web page (HTML), not JSON")]
    Html,
    #[error("it breaks off in the middle")]
    Incomplete,
    #[error("it is not valid JSON")]
    NotJson,
    #[error("it is too large")]
    TooLarge,
    #[error("the list “{0}” is missing")]
    NoList(String),
    #[error("{0}")]
    WrongRow(String),
    #[error("entry {0} of the list is not an object")]
    NotAnObject(usize),
    #[error("entry {0} of the list has no id (external_id)")]
    NoId(usize),
    #[error("entry {0} of the list has an id of more than {MAX_ID} bytes (external_id)")]
    LongId(usize),
}

/// Parses JSON. Any content type is accepted, except HTML in an error response. A successful response is often JSON
/// whatever its content type, because `text/html` is the default of PHP.
pub(crate) fn parse(body: &[u8], status: StatusCode, content_type: Option<&str>) -> Result<Document, BodyError> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let html = content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    if text.is_empty() {
        return Err(BodyError::Empty);
    }
    if text.starts_with(b"<") || (html && !status.is_success() && !text.starts_with(b"{")) {
        return Err(BodyError::Html);
    }
    if text.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > MAX_VALUES {
        return Err(BodyError::TooLarge);
    }
    let exact = with_exact_numbers(text);
    let text = exact.as_deref().unwrap_or(text);
    let parsed = serde_json::from_slice(text).or_else(|error| match mended(text) {
        Some(mended) if error.is_syntax() => serde_json::from_slice(&mended),
        _ => Err(error),
    });
    parsed.map(Document::new).map_err(|error| match error.classify() {
        Category::Eof => BodyError::Incomplete,
        _ if html => BodyError::Html,
        Category::Io | Category::Syntax | Category::Data => BodyError::NotJson,
    })
}

/// Writes whole numbers that no integer of the parser can hold as texts, so that an id keeps all its digits. `None` if
/// there are none.
fn with_exact_numbers(json: &[u8]) -> Option<Vec<u8>> {
    let digits = |at: usize| json[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut exact: Option<Vec<u8>> = None;
    let (mut at, mut copied, mut in_text) = (0, 0, false);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'0'..=b'9' if !in_text => {
                let (start, end) = (at, at + digits(at));
                let signed = start > 0 && matches!(json[start - 1], b'-' | b'+' | b'.' | b'e' | b'E');
                let fraction = json.get(end).is_some_and(|byte| matches!(byte, b'.' | b'e' | b'E'));
                if end - start > MAX_DIGITS && !signed && !fraction {
                    let exact = exact.get_or_insert_default();
                    exact.extend_from_slice(&json[copied..start]);
                    exact.push(b'"');
                    exact.extend_from_slice(&json[start..end]);
                    exact.push(b'"');
                    copied = end;
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(exact) = &mut exact {
        exact.extend_from_slice(&json[copied..]);
    }
    exact
}

/// Repairs texts that JSON does not allow but some applications send: half of a surrogate pair becomes U+FFFD, and a
/// control character becomes a space. `None` if there is nothing to repair.
fn mended(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(json.len());
    let (mut at, mut in_text, mut changed) = (0, false, false);
    while let Some(&byte) = json.get(at) {
        let length = match byte {
            b'\\' if in_text => match surrogate(json, at) {
                Some(0xd800..=0xdbff) if matches!(surrogate(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
                Some(_) => {
                    mended.extend_from_slice(br"\ufffd");
                    (at, changed) = (at + 6, true);
                    continue;
                }
                None => 2,
            },
            0..=0x1f if in_text => {
                mended.push(b' ');
                (at, changed) = (at + 1, true);
                continue;
            }
            b'"' => {
                in_text = !in_text;
                1
            }
            _ => 1,
        };
        mended.extend_from_slice(json.get(at..at + length).unwrap_or(&json[at..]));
        at += length;
    }
    changed.then_some(mended)
}

/// The surrogate that is escaped here (`\ud83d`), if there is one.
fn surrogate(json: &[u8], at: usize) -> Option<u16> {
    let escape = json.get(at..at + 6)?.strip_prefix(br"\u")?;
    let code = u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()?;
    (0xd800..=0xdfff).contains(&code).then_some(code)
}

/// Takes the list out of a page, leaving null behind.
pub(super) fn take_list(list: List<'_>, page: &mut Document) -> Result<Vec<Value>, BodyError> {
    let may_be_missing = list.empty_when.is_some_and(|test| test.holds(page));
    match list.records.take(page) {
        Ok(records) => Ok(records),
        Err(NoRecords::Missing) if may_be_missing => Ok(Vec::new()),
        Err(NoRecords::Missing) => Err(BodyError::NoList(list.records.path().to_string())),
        Err(NoRecords::Wrong(clause)) => Err(BodyError::WrongRow(clause)),
    }
}
