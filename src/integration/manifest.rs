//! The connector language: what a manifest can say about an application.
//!
//! A manifest is one YAML file, `connectors/<key>.yaml`. It says which settings
//! the form asks for, how a call is signed, where the list of users is, how its
//! pages follow each other, and which part of a record is which column. The
//! [engine](super::engine) carries it out; adding an application needs no Rust.
//!
//! **Promises.** A [`Manifest`] that [`parse`] gave is whole: each path, pattern
//! and template in it is compiled, each `{{config.x}}` is declared, each setting
//! is used, secrets stand in `auth` only, and the address cannot be bent to
//! another host by a setting. An unknown key is a fault, never ignored, and no
//! key parses without doing something. A fault names its line and column and,
//! where there is one, the way out.
//!
//! **Does not promise** that the application answers as the manifest says; the
//! engine finds that out, page by page, and fails the run rather than guess.
//!
//! **Faults come in two batches.** What is not YAML, or not of the language's
//! shape, stops at the first fault. What has the right shape is checked as a
//! whole, and all of its faults are reported together.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`config`] | the settings of a connection, and whether given values fit them |
//! | [`template`] | `{{config.x}}` |
//! | [`expr`] | JSONPath: paths into a record, and tests on it |
//! | [`paging`] | the ways in which pages follow each other |
//! | [`mapping`] | from a record to the columns of a user |
//! | [`answers`] | what a refusal means, and how long to wait |
//! | `check` | the checks on a manifest as a whole |
//!
//! Further kinds of authentication are variants of [`Auth`]; further listings
//! (the same list with other parameters, lists joined by id, calls per user) are
//! keys of [`Listing`].

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::integration::source::Capability;

pub mod answers;
mod check;
pub mod config;
pub mod expr;
pub mod mapping;
pub mod paging;
pub mod template;

#[cfg(test)]
mod tests;

use answers::{ErrorDetails, ErrorRule, RateLimit};
use config::ConfigField;
use expr::{ListPath, Predicate};
use mapping::{Column, Mapping};
use paging::Paging;
use template::{OneOrMany, Template};

/// One application's connector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The file's name without `.yaml`; what `Integration.key` is.
    #[serde(skip)]
    pub key: String,
    /// The application's name, as its vendor writes it.
    pub name: String,
    /// Such as `identity` or `communication`; the catalog is filtered by it.
    pub category: String,
    /// One sentence for the catalog.
    pub description: String,
    /// Where the vendor describes the interface that is used here.
    #[serde(default)]
    pub documentation_url: Option<Spanned<String>>,
    /// Scopes, roles or rights that the credential needs, in the application's own words.
    #[serde(default)]
    pub required_permissions: Vec<String>,
    /// What a person does in the application to get the credential.
    pub setup: String,
    /// The settings of a connection, in the order of the form.
    pub config: Vec<Spanned<ConfigField>>,
    /// What every call's address begins with.
    pub base_url: Spanned<Template>,
    /// Whose data a connection sees. Without it: the host, if a setting decides on it.
    #[serde(default)]
    pub tenant: Option<Spanned<Template>>,
    /// Headers that go with every call, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<Template>>,
    pub auth: Spanned<Auth>,
    pub users: Listing,
    /// Tried in this order on every answer, before the defaults; the first that fits decides.
    #[serde(default)]
    pub errors: Vec<Spanned<ErrorRule>>,
    /// Where a refusal explains itself.
    #[serde(default)]
    pub error_details: ErrorDetails,
    /// Where the application says how long to wait, beyond the usual headers.
    #[serde(default)]
    pub rate_limit: RateLimit,
}

/// How a call is signed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Calls are not signed.
    None,
    /// `Authorization: Bearer …`
    Bearer(Template),
    /// `Authorization: Basic …`
    Basic(Basic),
    /// Headers of the application's own, by name.
    Header(BTreeMap<String, Template>),
    /// Query parameters, by name.
    Query(BTreeMap<String, Template>),
}

/// The two halves of HTTP Basic authentication.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub username: Template,
    pub password: Template,
}

/// What kind of credential an integration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, async_graphql::Enum)]
pub enum AuthenticationKind {
    /// Nothing is asked for.
    None,
    /// A token or key that somebody makes in the application.
    ApiToken,
    /// A user name and a password.
    Basic,
    /// OAuth 2.0, as the application itself.
    #[graphql(name = "OAUTH2_CLIENT_CREDENTIALS")]
    OAuth2ClientCredentials,
    /// OAuth 2.0, with a person's consent.
    #[graphql(name = "OAUTH2_AUTHORIZATION_CODE")]
    OAuth2AuthorizationCode,
    /// The key of a service account.
    ServiceAccount,
}

/// The list of users.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Below `base_url`. Settings are encoded as parts of a path.
    pub path: Spanned<Template>,
    /// Query parameters of the first page, and of every page that is not an address of its own.
    #[serde(default)]
    pub query: BTreeMap<String, Spanned<OneOrMany<Template>>>,
    /// How many records a page is asked to hold. Without it the application decides.
    #[serde(default)]
    pub page_size: Option<Spanned<PageSize>>,
    pub pages: Paging,
    /// The list itself, such as `$.users`; `$` if the answer is the list.
    pub records: ListPath,
    /// When the list may be missing, because there is nobody in it.
    #[serde(default)]
    pub empty_when: Option<Predicate>,
    /// Records that are no users: bots, deleted entries.
    #[serde(default)]
    pub skip_if: Vec<Predicate>,
    /// Columns that an application leaves out of every record if a permission
    /// is missing, each with the name of that permission.
    #[serde(default)]
    pub require_some: BTreeMap<Column, Spanned<String>>,
    pub map: Spanned<Mapping>,
}

/// The query parameter that sets the size of a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    pub param: String,
    /// The most that the application documents; the connection check asks for 1.
    pub count: u32,
}

impl Manifest {
    /// What the listing provides: the users, and each optional column that is mapped.
    pub fn capabilities(&self) -> Vec<Capability> {
        let map = &self.users.map.value;
        [
            (true, Capability::Users),
            (map.last_active_at.is_some(), Capability::LastActivity),
            (map.mfa_enabled.is_some(), Capability::Mfa),
            (map.is_admin.is_some(), Capability::AdminRoles),
            (map.licenses.is_some(), Capability::Licenses),
        ]
        .into_iter()
        .filter_map(|(provided, capability)| provided.then_some(capability))
        .collect()
    }

    /// What kind of credential the form asks for.
    pub fn authentication(&self) -> AuthenticationKind {
        match self.auth.value {
            Auth::None => AuthenticationKind::None,
            Auth::Basic(_) => AuthenticationKind::Basic,
            Auth::Bearer(_) | Auth::Header(_) | Auth::Query(_) => AuthenticationKind::ApiToken,
        }
    }
}

/// Something in a manifest that has to be mended before it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// Counted from 1; 0 if the fault is not at one place.
    pub line: u64,
    /// Counted from 1; 0 if the fault is not at one place.
    pub column: u64,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl Fault {
    fn at(file: &str, location: Location, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: location.line(), column: location.column(), message: message.into() }
    }
}

/// Reads a manifest and checks it. `file_name` gives the key and stands in the faults.
pub fn parse(text: &str, file_name: &str) -> Result<Manifest, Vec<Fault>> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let mut manifest: Manifest =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| vec![shape_fault(file_name, &error)])?;
    let base = file_name.rsplit('/').next().unwrap_or(file_name);
    manifest.key = String::from(base.strip_suffix(".yaml").unwrap_or(base));

    let faults = check::faults(&manifest, file_name);
    if faults.is_empty() { Ok(manifest) } else { Err(faults) }
}

fn shape_fault(file: &str, error: &serde_saphyr::Error) -> Fault {
    let location = error.location().unwrap_or(Location::UNKNOWN);
    let text = error.without_snippet().to_string();
    let place = format!(" at line {}, column {}", location.line(), location.column());
    Fault::at(file, location, text.strip_suffix(&place).unwrap_or(&text))
}
