//! The ways in which the pages of a list follow each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::expr::{Path, Predicate};
use super::schema::Scalar;
use super::template::{BodyPath, JsonTemplate, Template};

/// How the next page is found, and when there is none.
///
/// The kinds that are told where to go on (`link_header`, `next_url`, `cursor`)
/// end only when nothing is told: a short page, even an empty one, is not the
/// last. The kinds that count (`scim`, `page`, `offset`) go on by the records
/// that came, not by those asked for, and end at the total, at a flag, or at an
/// empty page.
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkHeader {
    #[serde(default = "next")]
    pub rel: String,
    /// Parameters of the link that mark it as leading nowhere, such as `results: "false"`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub stop_param: BTreeMap<String, String>,
}

fn next() -> String {
    "next".to_owned()
}

/// An address in the answer; it may be relative.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextUrl {
    pub at: Path,
    /// If given, there is a next page only while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// A token in the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub at: Path,
    /// The query parameter that takes it.
    #[serde(default)]
    pub param: Option<String>,
    /// Its place in the body, where pages are asked for by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// The call for following pages, if it differs from the first.
    #[serde(default)]
    pub then: Option<Then>,
    /// If given, there is a next page only while this holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// The call for following pages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    pub json: JsonTemplate,
}

/// Where a value goes in a call.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    Param(&'a str),
    Json(&'a BodyPath),
}

impl<'a> Slot<'a> {
    /// `None` unless exactly one of them is given.
    pub fn of(param: Option<&'a String>, json: Option<&'a BodyPath>) -> Option<Self> {
        match (param, json) {
            (Some(param), None) => Some(Self::Param(param)),
            (None, Some(path)) => Some(Self::Json(path)),
            _ => None,
        }
    }
}

/// Numbered pages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    #[serde(default)]
    pub param: Option<String>,
    /// Its place in the body, where pages are asked for by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    #[serde(default)]
    pub param: Option<String>,
    /// Its place in the body, where pages are asked for by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
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
    /// The call for following pages, if it differs from the first.
    pub fn then(&self) -> Option<&Then> {
        match self {
            Self::Cursor(rule) => rule.then.as_ref(),
            Self::None | Self::Scim | Self::LinkHeader(_) | Self::NextUrl(_) | Self::Page(_) | Self::Offset(_) => None,
        }
    }

    /// Where this kind puts the place of a page, if it does so by itself. The error: it must be said.
    pub fn slot(&self) -> Result<Option<Slot<'_>>, &'static str> {
        let (param, json) = match self {
            Self::None | Self::LinkHeader(_) | Self::NextUrl(_) => return Ok(None),
            Self::Scim => return Ok(Some(Slot::Param("startIndex"))),
            Self::Cursor(rule) => (&rule.param, &rule.json),
            Self::Page(rule) => (&rule.param, &rule.json),
            Self::Offset(rule) => (&rule.param, &rule.json),
        };
        let slot = Slot::of(param.as_ref(), json.as_ref());
        slot.map(Some).ok_or("say where the place of a page goes: either param: name, or json: $.member")
    }
}
