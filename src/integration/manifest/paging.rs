//! The ways in which the pages of a list follow each other.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::expr::{Path, Predicate};

/// How the next page is found, and when there is none.
///
/// The kinds that are told where to go on (`link_header`, `next_url`, `cursor`)
/// end only when nothing is told: a short page, even an empty one, is not the
/// last. The kinds that count (`scim`, `page`, `offset`) go on by the records
/// that came, not by those asked for, and end at the total, at a flag, or at an
/// empty page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// The first answer is the whole list.
    None,
    /// RFC 7644 `startIndex` and `totalResults`, or RFC 9865 `nextCursor` when the server gives one.
    Scim,
    /// A `Link` header.
    LinkHeader(LinkHeader),
    /// The address of the next page stands in the answer.
    NextUrl(NextUrl),
    /// A token stands in the answer and goes back as a query parameter.
    Cursor(Cursor),
    /// Pages are numbered.
    Page(Numbered),
    /// The number of records to skip.
    Offset(Offset),
}

/// `Link: <…>; rel="next"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkHeader {
    #[serde(default = "next")]
    pub rel: String,
    /// Parameters of the link that mark it as leading nowhere, such as `results: "false"`.
    #[serde(default)]
    pub stop_param: BTreeMap<String, String>,
}

fn next() -> String {
    "next".to_owned()
}

/// An address in the answer; it may be relative.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextUrl {
    pub at: Path,
    /// If given, there is a next page only while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// A token in the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub at: Path,
    pub param: String,
    /// If given, there is a next page only while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// Numbered pages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    pub param: String,
    /// The number of the first page.
    #[serde(default = "one")]
    pub start: u64,
    /// How many records there are in all.
    #[serde(default)]
    pub total: Option<Path>,
    /// The number of the last page.
    #[serde(default)]
    pub last: Option<Path>,
    /// There is a next page while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

fn one() -> u64 {
    1
}

/// Records to skip.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    pub param: String,
    /// The offset of the first record.
    #[serde(default)]
    pub start: u64,
    /// How many records there are in all.
    #[serde(default)]
    pub total: Option<Path>,
    /// There is a next page while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

impl Paging {
    /// The query parameter that this kind sets by itself.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::None | Self::LinkHeader(_) | Self::NextUrl(_) => None,
            Self::Scim => Some("startIndex"),
            Self::Cursor(cursor) => Some(&cursor.param),
            Self::Page(page) => Some(&page.param),
            Self::Offset(offset) => Some(&offset.param),
        }
    }
}
