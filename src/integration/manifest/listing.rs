//! Where the users are listed, and the further calls for what the list does not say.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::answers::ErrorRule;
use super::expr::{ListPath, Path, Predicate};
use super::mapping::{Mapping, TimeFormat};
use super::paging::{Paging, Slot};
use super::template::{BodyPath, JsonTemplate, OneOrMany, Template};
use crate::user::UserField;

/// Query parameters by name.
pub type Query = BTreeMap<String, Spanned<OneOrMany<Template>>>;

/// The list of users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Below `base_url`. Values are encoded as parts of a path.
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    /// Query parameters of the first page, and of every page that is not an address of its own.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// The body of a call by POST.
    #[serde(default)]
    #[schemars(with = "Option<JsonTemplate>")]
    pub json: Option<Spanned<JsonTemplate>>,
    /// The same listing several times over.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// How many records a page is asked to hold. Without it the application decides.
    #[serde(default)]
    #[schemars(with = "Option<PageSize>")]
    pub page_size: Option<Spanned<PageSize>>,
    #[schemars(with = "Paging")]
    pub pages: Spanned<Paging>,
    /// The list itself, such as `$.users`; `$` if the answer is the list.
    pub records: ListPath,
    /// When the list may be missing, because there is nobody in it.
    #[serde(default)]
    pub empty_when: Option<Predicate>,
    /// Records that are no users: bots, deleted entries.
    #[serde(default)]
    pub skip_if: Vec<Predicate>,
    /// Fields that an application leaves out of every record if a permission
    /// is missing, each with the name of that permission.
    #[serde(default)]
    #[schemars(with = "BTreeMap<UserField, String>")]
    pub require_some: BTreeMap<UserField, Spanned<String>>,
    /// Further lists, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Join>")]
    pub joins: BTreeMap<String, Spanned<Join>>,
    /// Further calls per user, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Detail>")]
    pub details: BTreeMap<String, Spanned<Detail>>,
    #[schemars(with = "Mapping")]
    pub map: Spanned<Mapping>,
}

/// What one of several passes over a listing differs in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// In place of the listing's.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub path: Option<Spanned<Template>>,
    /// Added to the listing's.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
}

/// Where the size of a page goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    #[serde(default)]
    pub param: Option<String>,
    #[serde(default)]
    pub json: Option<BodyPath>,
    /// The most that the application documents; the connection check asks for 1.
    pub count: u32,
}

impl PageSize {
    pub fn slot(&self) -> Option<Slot<'_>> {
        Slot::of(self.param.as_ref(), self.json.as_ref())
    }
}

/// A list that is read once before the users and joined to them by id.
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
    /// The id in a user's record; the same as `key` if it is left out.
    #[serde(default)]
    pub on: Option<Path>,
    /// Parts that are kept as `$._joined.NAME.PART`.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The fields that are not known without it. If there are none, a refusal fails the run.
    #[serde(default)]
    pub provides: OneOrMany<UserField>,
    /// What is missing if it is refused.
    pub permission: String,
    /// What a refusal of this call means, before the manifest's own rules.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
}

/// A call per user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    #[schemars(with = "Template")]
    pub path: Spanned<Template>,
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, OneOrMany<Template>>")]
    pub query: Query,
    /// For whom it is worth a call; for everybody if it is left out.
    #[serde(default)]
    pub when: Option<Predicate>,
    /// The fields that are not known without it. If there are none, a refusal fails the run.
    #[serde(default)]
    pub provides: OneOrMany<UserField>,
    /// What is missing if it is refused.
    pub permission: String,
    /// What a refusal of this call means, before the manifest's own rules.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
}

/// A list of any kind, as the engine walks it.
#[derive(Clone, Copy)]
pub struct List<'a> {
    pub path: &'a Template,
    /// Later parts are added to earlier ones.
    pub query: [Option<&'a Query>; 2],
    pub json: Option<&'a JsonTemplate>,
    pub page_size: Option<&'a PageSize>,
    pub pages: &'a Paging,
    pub records: &'a ListPath,
    pub empty_when: Option<&'a Predicate>,
}

impl Listing {
    /// How many passes there are over it.
    pub fn passes(&self) -> usize {
        self.variants.len().max(1)
    }

    /// One pass, counted from 0.
    pub fn pass(&self, number: usize) -> List<'_> {
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

    /// The id in a user's record.
    pub fn on(&self) -> &Path {
        self.on.as_ref().unwrap_or(&self.key)
    }
}

/// A call before the listing, which tells whose credential it is.
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
    /// Parts of the answer that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// Go on without it if the application refuses.
    #[serde(default)]
    pub optional: bool,
}

/// When the credential ends, if the application tells.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// A header of any answer.
    #[serde(default)]
    pub header: Option<String>,
    /// What `identify` found.
    #[serde(default)]
    pub found: Option<String>,
    pub format: TimeFormat,
}

/// `users: scim`, or a listing of the manifest's own.
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

/// The listing of the built-in connector for SCIM 2.0, which several manifests share.
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
