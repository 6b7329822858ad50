//! Where the users are listed, and further requests for columns that the list does not contain.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::errors::ErrorRule;
use super::expr::{ListPath, Path, Predicate};
use super::mapping::{Mapping, Rule as _, TimeFormat};
use super::paging::{Paging, Slot};
use super::template::{BodyPath, JsonTemplate, OneOrMany, Template};
use crate::user::{UserField, UserStatus};

/// Query parameters by name.
pub type Query = BTreeMap<String, Spanned<OneOrMany<Template>>>;

/// The list of users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Below `base_url`. Values are encoded, and stay within one segment.
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    /// The query parameters of every page, except of pages that have an address of their own.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// A JSON body, which makes the request a POST.
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    pub json: Option<Spanned<JsonTemplate>>,
    /// Reads the list several times, with these differences.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// How many records to ask for per page. By default the application decides.
    #[serde(default)]
    #[schemars(with = "Option<PageSize>")]
    pub page_size: Option<Spanned<PageSize>>,
    #[schemars(with = "Paging")]
    pub pages: Spanned<Paging>,
    /// The path of the list, such as `$.users`; `$` if the response is the list.
    pub records: ListPath,
    /// A test on the response: the list may be missing, because there are no users.
    #[serde(default)]
    pub empty_when: Option<Predicate>,
    /// Tests on a record: it is no user, such as a bot or a deleted entry.
    #[serde(default)]
    pub skip_if: Vec<Predicate>,
    /// Fields that an application leaves out of every record if a permission
    /// is missing, each with the name of that permission.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, String>")]
    pub require_some: BTreeMap<UserField, Spanned<String>>,
    /// In which order the list comes. Needed for `offset` and `page`: a list without an order may show some entries
    /// twice and others never.
    #[serde(default)]
    #[schemars(with = "Option<Order>")]
    pub order: Option<Spanned<Order>>,
    /// A request for the number of all entries, if the list does not tell it.
    #[serde(default)]
    pub count: Option<Count>,
    /// What it means if a complete record lacks a field. By default the user has no such value, or it is not known.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, Absent>")]
    pub absent: BTreeMap<UserField, Spanned<Absent>>,
    /// Further lists, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Join>")]
    pub joins: BTreeMap<String, Spanned<Join>>,
    /// Further requests per user, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Detail>")]
    pub details: BTreeMap<String, Spanned<Detail>>,
    #[schemars(with = "Mapping")]
    pub map: Spanned<Mapping>,
}

/// How one of several readings of a list differs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Replaces the path of the list.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub path: Option<Spanned<Template>>,
    /// Added to the query of the list.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// The status of everybody on this list, whatever `map` says.
    #[serde(default)]
    pub status: Option<UserStatus>,
    /// The permission that is missing if the application refuses this list. The run then continues with the other
    /// variants, and removes nobody. Without it, the run fails.
    #[serde(default)]
    pub permission: Option<String>,
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
#[derive(Debug, Deserialize, JsonSchema)]
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
#[derive(Debug, Deserialize, JsonSchema)]
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
    pub records: ListPath,
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
    /// Parameters of the second map replace those of the first.
    pub query: [Option<&'a Query>; 2],
    pub json: Option<&'a JsonTemplate>,
    pub page_size: Option<&'a PageSize>,
    pub pages: &'a Paging,
    pub records: &'a ListPath,
    pub empty_when: Option<&'a Predicate>,
}

impl Listing {
    /// How often the list is read.
    pub fn variants(&self) -> usize {
        self.variants.len().max(1)
    }

    /// Whether entries may move from one page to another while the list is read. Where pages are numbered or entries
    /// skipped, everybody behind somebody who leaves moves up.
    pub fn may_shift(&self) -> bool {
        let says_none = self.order.as_ref().is_some_and(|order| order.value == Order::None);
        says_none || matches!(self.pages.value, Paging::Scim | Paging::Page(_) | Paging::Offset(_))
    }

    /// The text of every path and test that reads the list and its joins.
    pub fn expressions(&self) -> Vec<String> {
        let map = &self.map.value;
        let mut found = vec![self.records.to_string()];
        map.external_id.add_expressions(&mut found);
        map.rules().for_each(|(_, rule)| rule.add_expressions(&mut found));
        found.extend(self.skip_if.iter().chain(&self.empty_when).map(ToString::to_string));
        for join in self.joins.values().map(|join| &join.value) {
            found.push(join.records.to_string());
            found.extend([&join.key, join.on()].into_iter().chain(join.keep.values()).map(ToString::to_string));
        }
        found
    }

    /// The list as the variant with this number reads it, from 0.
    pub fn variant(&self, number: usize) -> List<'_> {
        let variant = self.variants.get(number);
        List {
            path: variant.and_then(|variant| variant.path.as_ref()).map_or(&self.path.value, |path| &path.value),
            query: [Some(&self.query), variant.map(|variant| &variant.query)],
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
            query: [Some(&self.query), None],
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
            Listing::deserialize(MapAccessDeserializer::new(map)).map(Arc::new)
        }
    }
    deserializer.deserialize_any(ListingVisitor)
}

/// The user list of the built-in SCIM 2.0 manifest, which other manifests share.
fn scim() -> Result<Arc<Listing>, String> {
    #[derive(Deserialize)]
    struct Users {
        users: Listing,
    }
    static STANDARD: LazyLock<Result<Arc<Listing>, String>> = LazyLock::new(|| {
        let parsed: Result<Users, _> = serde_saphyr::from_str(include_str!("../connectors/scim.yaml"));
        parsed.map(|manifest| Arc::new(manifest.users)).map_err(|error| error.to_string())
    });
    STANDARD.clone()
}
