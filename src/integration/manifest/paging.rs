//! How the pages of a list follow each other.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::expr::{Path, Predicate};
use super::schema::Scalar;
use super::template::{BodyPath, JsonTemplate, Template};

/// How the next page is found, and when there is none.
///
/// With `link_header`, `next_url` and `cursor`, a list ends only if the page names no next
/// page. A short page never ends a list, not even an empty one. `scim`, `page` and `offset`
/// advance by the number of records received, and end at the total, at a flag, or at an empty
/// page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Paging {
    /// The first page is the whole list.
    None,
    /// RFC 7644 `startIndex` and `totalResults`, or RFC 9865 `nextCursor` when the server gives one.
    Scim,
    /// A `Link` header.
    LinkHeader(LinkHeader),
    /// The response contains the address of the next page.
    NextUrl(NextUrl),
    /// The response contains a token, which the next request sends.
    Cursor(Cursor),
    /// Pages are numbered.
    Page(Numbered),
    /// The request says how many records to skip.
    Offset(Offset),
}

/// `Link: <…>; rel="next"`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkHeader {
    #[serde(default = "next")]
    pub rel: String,
    /// Parameters of the link which say that it leads nowhere, such as `results: "false"`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub stop_param: BTreeMap<String, String>,
    /// The number of records on all pages, in the response.
    #[serde(default)]
    pub total: Option<Path>,
}

fn next() -> String {
    "next".to_owned()
}

/// An address in the response; it may be relative.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextUrl {
    pub at: Path,
    /// The number of records on all pages.
    #[serde(default)]
    pub total: Option<Path>,
    /// A test on the response: there is a next page only while it holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// A token in the response.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    pub at: Path,
    /// The query parameter that sends it.
    #[serde(default)]
    pub param: Option<String>,
    /// The part of the body that sends it, if pages are requested by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// What the first page sends in its place; may be empty. By default the first page sends none.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub first: Option<String>,
    /// The request for the following pages, if it differs from the first.
    #[serde(default)]
    pub then: Option<Then>,
    /// The number of records on all pages.
    #[serde(default)]
    pub total: Option<Path>,
    /// A test on the response: there is a next page only while it holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

/// The request for the following pages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    pub json: JsonTemplate,
}

/// Where a request carries a value.
#[derive(Clone, Copy, Debug)]
pub enum Slot<'a> {
    Param(&'a str),
    Json(&'a BodyPath),
}

impl<'a> Slot<'a> {
    /// `None` unless exactly one of the two is given.
    pub fn of(param: Option<&'a String>, json: Option<&'a BodyPath>) -> Option<Self> {
        match (param, json) {
            (Some(param), None) => Some(Self::Param(param)),
            (None, Some(path)) => Some(Self::Json(path)),
            _ => None,
        }
    }
}

/// Numbered pages.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    #[serde(default)]
    pub param: Option<String>,
    /// The part of the body that sends it, if pages are requested by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// The number of the first page.
    #[serde(default = "one")]
    pub start: u64,
    /// The number of records on all pages.
    #[serde(default)]
    pub total: Option<Path>,
    /// The number of the last page.
    #[serde(default)]
    pub last: Option<Path>,
    /// A test on the response: there is a next page while it holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

fn one() -> u64 {
    1
}

/// Paging by the number of records to skip.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    #[serde(default)]
    pub param: Option<String>,
    /// The part of the body that sends it, if pages are requested by POST.
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// The offset of the first record.
    #[serde(default)]
    pub start: u64,
    /// The number of records on all pages.
    #[serde(default)]
    pub total: Option<Path>,
    /// A test on the response: there is a next page while it holds.
    #[serde(default)]
    pub more: Option<Predicate>,
}

impl Paging {
    /// The request for the following pages, if it differs from the first.
    pub fn then(&self) -> Option<&Then> {
        match self {
            Self::Cursor(rule) => rule.then.as_ref(),
            Self::None | Self::Scim | Self::LinkHeader(_) | Self::NextUrl(_) | Self::Page(_) | Self::Offset(_) => None,
        }
    }

    /// Where the request carries the position of a page; `None` if pages have addresses. Fails if the
    /// manifest must say so and does not.
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
