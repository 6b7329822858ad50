//! Where the users are listed, and further requests for columns that the list does not contain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use regex::Regex;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::errors::ErrorRule;
use super::expr::{Path, Predicate};
use super::mapping::{Mapping, MappingForm, Rule as _, TimeFormat};
use super::paging::{Paging, Slot};
use super::records::Records;
use super::template::{BodyPath, JsonTemplate, OneOrMany, Template};
use crate::source::Capability;
use crate::user::UserField;

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

/// The list of users, or what all lists of users have in common.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listing")]
pub(super) struct ListingForm {
    /// Below `base_url`. Values are encoded, and stay within one segment.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    path: Option<Spanned<Template>>,
    /// The query parameters of every page, except of pages that have an address of their own.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    query: Query,
    /// A JSON body, which makes the request a POST.
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    json: Option<Spanned<JsonTemplate>>,
    /// Several lists, in the order in which they are read. Each says what differs from the keys above.
    #[serde(default)]
    #[schemars(with = "Vec<ListForm>")]
    lists: Vec<Spanned<ListForm>>,
    /// How many records to ask for per page. By default the application decides.
    #[serde(default)]
    #[schemars(with = "Option<PageSize>")]
    page_size: Option<Spanned<PageSize>>,
    #[serde(default)]
    #[schemars(with = "Option<Paging>")]
    pages: Option<Spanned<Paging>>,
    /// The path of the list, such as `$.users`; `$` if the response is the list. Or where a map or rows are.
    #[serde(default)]
    records: Option<Records>,
    /// A test on the response: the list may be missing, because there are no users.
    #[serde(default)]
    empty_when: Option<Predicate>,
    /// Tests on a record: it is no user, such as a bot or a deleted entry.
    #[serde(default)]
    skip_if: Vec<Predicate>,
    /// Fields that an application leaves out of every record if a permission
    /// is missing, each with the name of that permission.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, String>")]
    require_some: BTreeMap<UserField, Spanned<String>>,
    /// In which order the list comes. Needed for `offset` and `page`: a list without an order may show some entries
    /// twice and others never.
    #[serde(default)]
    #[schemars(with = "Option<Order>")]
    order: Option<Spanned<Order>>,
    /// A request for the number of all entries, if the list does not tell it.
    #[serde(default)]
    #[schemars(with = "Option<Count>")]
    count: Option<Spanned<Count>>,
    /// What it means if a complete record lacks a field. By default the user has no such value, or it is not known.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, Absent>")]
    absent: BTreeMap<UserField, Spanned<Absent>>,
    /// Further lists, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Join>")]
    joins: BTreeMap<String, Spanned<Join>>,
    /// Further requests per user, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Detail>")]
    details: BTreeMap<String, Spanned<Detail>>,
    #[serde(default)]
    #[schemars(with = "Option<MappingForm>")]
    map: Option<Spanned<MappingForm>>,
}

/// How one of several lists differs from the keys above it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserList")]
pub(super) struct ListForm {
    /// The name in messages, such as `invitations`. Needed with `permission`.
    #[serde(default)]
    name: Option<String>,
    /// Below `base_url`.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    path: Option<Spanned<Template>>,
    /// Further query parameters. They replace those of the same name above.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    query: Query,
    /// A JSON body, which makes the request a POST.
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    json: Option<Spanned<JsonTemplate>>,
    /// How many records to ask for per page.
    #[serde(default)]
    #[schemars(with = "Option<PageSize>")]
    page_size: Option<Spanned<PageSize>>,
    #[serde(default)]
    #[schemars(with = "Option<Paging>")]
    pages: Option<Spanned<Paging>>,
    /// The path of the list.
    #[serde(default)]
    records: Option<Records>,
    /// A test on the response: the list may be missing, because there are no users.
    #[serde(default)]
    empty_when: Option<Predicate>,
    /// Tests on a record: it is no user.
    #[serde(default)]
    #[schemars(with = "Vec<Predicate>")]
    skip_if: Option<Vec<Predicate>>,
    /// In which order the list comes.
    #[serde(default)]
    #[schemars(with = "Option<Order>")]
    order: Option<Spanned<Order>>,
    /// A request for the number of the entries of this list.
    #[serde(default)]
    count: Option<Count>,
    /// What it means if a complete record lacks a field.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, Absent>")]
    absent: Option<BTreeMap<UserField, Spanned<Absent>>>,
    /// Rules that replace those of the same field above. With `external_id`, the records are of another kind: no rule
    /// from above is for them, and neither are `skip_if` and `absent`.
    #[serde(default)]
    #[schemars(with = "Option<MappingForm>")]
    map: Option<Spanned<MappingForm>>,
    /// The permission that is missing if the application refuses this list. The run then continues with the other
    /// lists. Without it, the run fails.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    permission: Option<Spanned<String>>,
    /// Error rules for this list, tried before those of the manifest.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    errors: Vec<Spanned<ErrorRule>>,
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

impl ListingForm {
    /// Puts the lists together.
    fn finish(self) -> Listing {
        let mut faults = Vec::new();
        if let Some(count) = self.count.as_ref().filter(|_| !self.lists.is_empty()) {
            faults.push((Some(count.referenced), "a count is of one list: write it in that list".to_owned()));
        }
        let mut lists = Vec::new();
        let only = ListForm::default();
        let own = self.lists.iter().map(|list| (Some(list.referenced), &list.value));
        for (at, own) in own.chain(self.lists.is_empty().then_some((None, &only))) {
            match self.list(own, at) {
                Ok(list) => lists.push(list),
                Err(key) if at.is_some() => {
                    faults.push((at, format!("the key “{key}” is missing: write it in this list, or under users")));
                }
                Err(key) => {
                    let at = self.map.as_ref().filter(|_| key != "map" && !is_of_list(key)).map(|map| map.referenced);
                    faults.push((at, format!("the key “{key}” is missing here; it must be written")));
                }
            }
        }
        let Self { require_some, joins, details, .. } = self;
        Listing { lists, require_some, joins, details, faults }
    }

    /// The list with these differences. Fails with the key that is missing.
    fn list(&self, own: &ListForm, at: Option<Location>) -> Result<UserList, &'static str> {
        let (map, above) = (own.map.as_ref(), self.map.as_ref());
        let referenced = map.or(above).ok_or("map")?;
        let is_other_kind = map.is_some_and(|map| map.value.external_id.is_some());
        let mapping = MappingForm::of(map.map(|map| &map.value), above.map(|map| &map.value))?;
        let mut query = self.query.clone();
        query.extend(own.query.iter().map(|(name, values)| (name.clone(), values.clone())));
        let rules_above = (!is_other_kind).then_some(self);
        let skip_if = own.skip_if.as_ref().or(rules_above.map(|above| &above.skip_if));
        let absent = own.absent.as_ref().or(rules_above.map(|above| &above.absent));
        let mut list = UserList {
            name: own.name.clone(),
            path: own.path.as_ref().or(self.path.as_ref()).ok_or("path")?.clone(),
            query,
            json: own.json.as_ref().or(self.json.as_ref()).cloned(),
            page_size: own.page_size.as_ref().or(self.page_size.as_ref()).cloned(),
            pages: own.pages.as_ref().or(self.pages.as_ref()).ok_or("pages")?.clone(),
            records: own.records.as_ref().or(self.records.as_ref()).ok_or("records")?.clone(),
            empty_when: own.empty_when.as_ref().or(self.empty_when.as_ref()).cloned(),
            skip_if: skip_if.cloned().unwrap_or_default(),
            order: own.order.as_ref().or(self.order.as_ref()).cloned(),
            count: own.count.as_ref().or(self.count.as_ref().map(|count| &count.value)).cloned(),
            absent: absent.cloned().unwrap_or_default(),
            map: Spanned { value: mapping, referenced: referenced.referenced, defined: referenced.defined },
            permission: own.permission.clone(),
            errors: own.errors.clone(),
            details: BTreeSet::new(),
            at,
        };
        list.details = self.details_of(&list);
        Ok(list)
    }

    /// The names of the details that a list asks for, and of those on which these depend.
    fn details_of(&self, list: &UserList) -> BTreeSet<String> {
        let mut texts = list.expressions();
        let mut found = BTreeSet::new();
        while let Some(text) = texts.pop() {
            for (kind, name) in named_parts(&text) {
                let Some(detail) = self.details.get(&name) else { continue };
                if kind == "details" && found.insert(name) {
                    texts.extend(detail.value.when.as_ref().map(ToString::to_string));
                }
            }
        }
        found
    }
}

/// Whether a key is one of a list itself, and not of its `map`.
fn is_of_list(key: &str) -> bool {
    matches!(key, "path" | "pages" | "records")
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

/// Reads `users: scim`, or a list that the manifest describes.
pub(super) fn listing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Listing>, D::Error> {
    struct ListingVisitor;
    impl<'de> Visitor<'de> for ListingVisitor {
        type Value = Arc<Listing>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("scim, or a listing with path, pages, records and map")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Arc<Listing>, E> {
            match text {
                "scim" => scim().map_err(E::custom),
                _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
            }
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Arc<Listing>, A::Error> {
            let form = ListingForm::deserialize(MapAccessDeserializer::new(map))?;
            Ok(Arc::new(form.finish()))
        }
    }
    deserializer.deserialize_any(ListingVisitor)
}

/// The user list of the built-in SCIM 2.0 manifest, which other manifests share.
fn scim() -> Result<Arc<Listing>, String> {
    #[derive(Deserialize)]
    struct Users {
        users: ListingForm,
    }
    static STANDARD: LazyLock<Result<Arc<Listing>, String>> = LazyLock::new(|| {
        let parsed: Result<Users, _> = serde_saphyr::from_str(include_str!("../connectors/scim.yaml"));
        parsed.map(|manifest| Arc::new(manifest.users.finish())).map_err(|error| error.to_string())
    });
    STANDARD.clone()
}
