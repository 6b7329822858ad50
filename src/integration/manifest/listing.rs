//! Where the users are listed, and further requests for columns that the list does not contain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::errors::ErrorRule;
use super::expr::{Path, Predicate};
use super::mapping::{Mapping, Rule as _, TimeFormat};
use super::paging::{Paging, Slot};
use super::records::Records;
use super::template::{BodyPath, JsonTemplate, OneOrMany, Template};
use crate::source::Capability;
use crate::user::UserField;

pub(super) mod form;

/// Query parameters by name.
pub type Query = BTreeMap<String, Spanned<OneOrMany<Template>>>;

/// Where the users are: one list, or several.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order in which they are read. There is at least one, unless there are faults.
    pub lists: Vec<UserList>,
    /// Fields that an application leaves out of every record if a permission
    /// is missing, each with the name of that permission.
    pub require_some: BTreeMap<UserField, Spanned<String>>,
    /// Further lists, by name.
    pub joins: BTreeMap<String, Spanned<Join>>,
    /// Further requests per user, by name.
    pub details: BTreeMap<String, Spanned<Detail>>,
    /// What a list lacks: where, and what to write. Without a location, it is lacking under `users`.
    pub(super) faults: Vec<(Option<Location>, String)>,
}

/// A list of users, with what it takes from the keys above it.
#[derive(Debug)]
pub struct UserList {
    /// The name in messages; `None` for the user list itself.
    pub name: Option<String>,
    pub path: Spanned<Template>,
    pub query: Query,
    pub json: Option<Spanned<JsonTemplate>>,
    pub page_size: Option<Spanned<PageSize>>,
    pub pages: Spanned<Paging>,
    pub records: Records,
    pub empty_when: Option<Predicate>,
    pub skip_if: Vec<Predicate>,
    pub order: Option<Spanned<Order>>,
    pub count: Option<Count>,
    pub absent: BTreeMap<UserField, Spanned<Absent>>,
    pub map: Spanned<Mapping>,
    /// The permission that is missing if the application refuses the list. The run continues without it.
    pub permission: Option<Spanned<String>>,
    /// Error rules for this list, tried before those of the manifest.
    pub errors: Vec<Spanned<ErrorRule>>,
    /// The names of the details that its users need.
    pub details: BTreeSet<String>,
    /// Where it is in the file; `None` if there is only one.
    pub at: Option<Location>,
}

/// The order of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The application promises no order, or its cursors count entries. If it reports no total, a list of several
    /// pages is read twice.
    None,
    /// The application has a fixed order by default, as its documentation says.
    Default,
    /// A parameter of the query, or a member of the body, asks for an order.
    By(String),
}

/// A request for the number of all entries.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Below `base_url`.
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// Where the number is in the response; `$` if the response is the number.
    pub at: Path,
}

/// What it means if a complete record lacks a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// The user has no such value, or it is not known.
    Unknown,
    /// The application leaves it out when it is false.
    #[serde(rename = "no")]
    No,
    /// The application leaves it out when it is empty.
    Empty,
    /// The application leaves the time out for a user who was never active.
    Never,
    /// The application always writes it, so the record is incomplete: the register keeps the old value.
    Incomplete,
}

/// Where the page size is sent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    #[serde(default)]
    pub param: Option<String>,
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// The documented maximum. The connection check asks for 1.
    pub count: u32,
}

impl PageSize {
    pub fn slot(&self) -> Option<Slot<'_>> {
        Slot::of(self.param.as_ref(), self.json.as_ref())
    }
}

/// A list that is read once, before the users, and joined to them by id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    pub json: Option<Spanned<JsonTemplate>>,
    #[serde(default)]
    #[schemars(with = "Option<PageSize>")]
    pub page_size: Option<Spanned<PageSize>>,
    #[schemars(with = "Paging")]
    pub pages: Spanned<Paging>,
    pub records: Records,
    #[serde(default)]
    pub empty_when: Option<Predicate>,
    /// The id in a record of this list.
    pub key: Path,
    /// The id in a user's record. By default the same path as `key`.
    #[serde(default)]
    pub on: Option<Path>,
    /// Parts that `map` uses as `$._joined.NAME.PART`.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The fields that are not known without it. If there are none, a refusal fails the run.
    #[serde(default)]
    pub provides: OneOrMany<UserField>,
    /// The permission that is missing if it is refused.
    pub permission: String,
    /// Error rules for this request, tried before those of the manifest.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
}

/// A request per user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// A test on the record: send the request for these users only. By default for every user.
    #[serde(default)]
    pub when: Option<Predicate>,
    /// The fields that are not known without it. If there are none, a refusal fails the run.
    #[serde(default)]
    pub provides: OneOrMany<UserField>,
    /// The permission that is missing if it is refused.
    pub permission: String,
    /// Error rules for this request, tried before those of the manifest.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
}

/// A list as the engine reads it, whether of users or joined.
#[derive(Clone, Copy)]
pub struct List<'a> {
    pub path: &'a Template,
    pub query: &'a Query,
    pub json: Option<&'a JsonTemplate>,
    pub page_size: Option<&'a PageSize>,
    pub pages: &'a Paging,
    pub records: &'a Records,
    pub empty_when: Option<&'a Predicate>,
}

static NAMED_PART: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"_(joined|details)['"\].\[]+([A-Za-z0-9_-]+)"#).ok());

/// The joins and details that an expression asks for: `joined` or `details`, and the name.
pub(super) fn named_parts(text: &str) -> Vec<(String, String)> {
    let parts = NAMED_PART.iter().flat_map(|part| part.captures_iter(text));
    parts.map(|part| (part[1].to_owned(), part[2].to_owned())).collect()
}

impl Listing {
    /// Whether a rule of any list gives the field.
    pub fn maps(&self, field: UserField) -> bool {
        self.lists.iter().any(|list| list.map.value.has(field))
    }

    /// Whether the application provides the field.
    pub fn provides(&self, field: UserField) -> bool {
        self.lists.iter().any(|list| list.map.value.provides(field))
    }

    /// Whether there is a list of invitations besides the others.
    pub fn has_invitations(&self) -> bool {
        self.lists.len() > 1 && self.lists.iter().any(UserList::is_of_invitations)
    }

    /// The text of every path and test that reads the lists and their joins.
    pub fn expressions(&self) -> Vec<String> {
        let mut found: Vec<String> = self.lists.iter().flat_map(UserList::expressions).collect();
        for join in self.joins.values().map(|join| &join.value) {
            found.push(join.records.to_string());
            found.extend([&join.key, join.on()].into_iter().chain(join.keep.values()).map(ToString::to_string));
        }
        found
    }
}

impl UserList {
    /// Whether everybody on it is invited.
    pub fn is_of_invitations(&self) -> bool {
        self.map.value.is_of_invited()
    }

    /// What is lost without it.
    pub fn capability(&self) -> Capability {
        if self.is_of_invitations() { Capability::Invitations } else { Capability::Users }
    }

    /// Whether entries may move from one page to another while the list is read. Where pages are numbered or entries
    /// skipped, everybody behind somebody who leaves moves up.
    pub fn may_shift(&self) -> bool {
        let says_none = self.order.as_ref().is_some_and(|order| order.value == Order::None);
        says_none || matches!(self.pages.value, Paging::Scim | Paging::Page(_) | Paging::Offset(_))
    }

    /// The text of every path and test that reads the list.
    fn expressions(&self) -> Vec<String> {
        let map = &self.map.value;
        let mut found = vec![self.records.to_string()];
        map.external_id.add_expressions(&mut found);
        map.rules().for_each(|(_, rule)| rule.add_expressions(&mut found));
        found.extend(self.skip_if.iter().chain(&self.empty_when).map(ToString::to_string));
        found
    }

    pub fn list(&self) -> List<'_> {
        List {
            path: &self.path.value,
            query: &self.query,
            json: self.json.as_ref().map(|json| &json.value),
            page_size: self.page_size.as_ref().map(|size| &size.value),
            pages: &self.pages.value,
            records: &self.records,
            empty_when: self.empty_when.as_ref(),
        }
    }
}

impl Join {
    pub fn list(&self) -> List<'_> {
        List {
            path: &self.path.value,
            query: &self.query,
            json: self.json.as_ref().map(|json| &json.value),
            page_size: self.page_size.as_ref().map(|size| &size.value),
            pages: &self.pages.value,
            records: &self.records,
            empty_when: self.empty_when.as_ref(),
        }
    }

    /// The path of the id in a user's record.
    pub fn on(&self) -> &Path {
        self.on.as_ref().unwrap_or(&self.key)
    }
}

/// A request before the listing, which tells whose credential it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identify {
    /// Below `base_url`.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub path: Option<Spanned<Template>>,
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub url: Option<Spanned<Template>>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    pub json: Option<Spanned<JsonTemplate>>,
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Template>>")]
    pub form: Option<BTreeMap<String, Spanned<Template>>>,
    /// Parts of the response that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// Continue if the application refuses the request.
    #[serde(default)]
    pub optional: bool,
}

/// When the credential expires, if the application reports it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// A header of any response.
    #[serde(default)]
    pub header: Option<String>,
    /// A value that `identify` kept.
    #[serde(default)]
    pub found: Option<String>,
    pub format: TimeFormat,
}
