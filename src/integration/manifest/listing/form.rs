//! How a manifest writes its lists: `users`, and `lists` under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::{Absent, Count, Detail, Join, Listing, Order, PageSize, Query, UserList, named_parts};
use crate::manifest::errors::ErrorRule;
use crate::manifest::expr::Predicate;
use crate::manifest::mapping::MappingForm;
use crate::manifest::paging::Paging;
use crate::manifest::records::Records;
use crate::manifest::template::{JsonTemplate, OneOrMany, Template};
use crate::user::UserField;

/// The list of users, or what all lists of users have in common.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listing")]
pub(in crate::manifest) struct ListingForm {
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
pub(in crate::manifest) struct ListForm {
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

/// Reads `users: scim`, or a list that the manifest describes.
pub(in crate::manifest) fn listing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Listing>, D::Error> {
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
        let parsed: Result<Users, _> = serde_saphyr::from_str(include_str!("../../connectors/scim.yaml"));
        parsed.map(|manifest| Arc::new(manifest.users.finish())).map_err(|error| error.to_string())
    });
    STANDARD.clone()
}
