//! The connector language: what a manifest can say about an application.
//!
//! A manifest is one YAML file, `connectors/<key>.yaml`. It says which settings the form
//! asks for, how requests are signed, where the list of users is, how its pages follow each
//! other, and which part of a record is which column. The [engine](super::engine) carries it
//! out, so adding an application needs no Rust.
//!
//! **Guarantees.** [`parse`] returns a [`Manifest`] only if it is correct as a whole: every
//! path, pattern and template is compiled, every `{{config.x}}` is declared, every setting is
//! used, secrets are used in `auth` only, and no setting can lead a request to another host.
//! An unknown key is a fault, and every accepted key has an effect. A fault names its line and
//! column, and says what to do if that is known.
//!
//! **Not guaranteed.** The application may not respond as the manifest says. The engine finds
//! that out page by page, and fails the run instead of guessing.
//!
//! **Two kinds of faults.** If the text is not YAML or does not have the shape of a manifest,
//! only the first fault is reported. Otherwise the manifest is checked as a whole, and all
//! faults are reported together.
//!
//! | file | content |
//! | --- | --- |
//! | [`config`] | the settings of a connection, and the checks on their values |
//! | [`template`] | `{{config.x}}` |
//! | [`auth`] | how requests are signed |
//! | [`listing`] | where the users are, and further requests for missing columns |
//! | [`expr`] | JSONPath: paths into a record, and tests on it |
//! | [`paging`] | how pages follow each other |
//! | [`mapping`] | from a record to the columns of a user |
//! | [`errors`] | what an error response means, and how long to wait |
//! | [`schema`] | the language as a JSON Schema, for editors |
//! | `yaml` | reads YAML within limits, and explains faults of shape |
//! | `check` | the checks on a manifest as a whole |
//!
//! The reference for authors of manifests is `docs/connectors.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use url::Url;

use crate::source::{Capability, Config};
use crate::user::UserField;

pub mod auth;
mod check;
pub mod config;
pub mod errors;
pub mod expr;
pub mod listing;
pub mod mapping;
pub mod paging;
pub mod records;
pub mod schema;
pub mod template;
pub mod yaml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use auth::{Auth, AuthOption};
use config::ConfigField;
use errors::{ErrorDetails, ErrorRule, RateLimit};
use listing::{Expiry, Identify, Listing};
use template::{OneOrMany, Template};

/// The size limit for a manifest.
const LIMITS: yaml::Limits = yaml::Limits { bytes: 256 * 1024, nodes: 20_000 };

/// The categories of the catalog.
pub(crate) const CATEGORIES: [&str; 11] = [
    "identity",
    "communication",
    "development",
    "operations",
    "productivity",
    "design",
    "sales",
    "support",
    "storage",
    "security",
    "human-resources",
];

/// The description of one application.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The file name without `.yaml`, which is the integration's key.
    #[serde(skip)]
    pub key: String,
    /// The application's name, as its vendor writes it.
    pub name: String,
    /// Other names by which people look for it: an earlier one, an abbreviation, a product of it.
    #[serde(default)]
    pub also_known_as: Vec<String>,
    /// The category in the catalog.
    #[schemars(extend("enum" = CATEGORIES))]
    pub category: String,
    /// One sentence for the catalog.
    pub description: String,
    /// The vendor's documentation of the API that is used.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub documentation_url: Option<Spanned<String>>,
    /// Scopes, roles or rights that the credential needs, as the application names them.
    #[serde(default)]
    pub required_permissions: Vec<String>,
    /// How a person gets the credential in the application.
    pub setup: String,
    /// The settings of a connection.
    #[schemars(with = "Vec<ConfigField>")]
    pub config: Vec<Spanned<ConfigField>>,
    /// The fields of the form: the choice of authentication, if there is one, and `config`.
    #[serde(skip)]
    pub form: Vec<ConfigField>,
    /// The names of the `{{found.x}}` values that requests for users need.
    #[serde(skip)]
    pub needed: Vec<String>,
    /// The beginning of every request's address.
    #[schemars(with = "Template")]
    pub base_url: Spanned<Template>,
    /// The hosts that a base address from a response may have, such as `*.salesforce.com`.
    #[serde(default)]
    #[schemars(with = "Vec<HostPattern>")]
    pub base_url_hosts: Vec<Spanned<HostPattern>>,
    /// Other origins that the address of a next page may have.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub other_origins: Vec<Spanned<Url>>,
    /// Identifies whose users a connection lists. By default the host, if a setting determines it.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub tenant: Option<Spanned<Template>>,
    /// Headers of every request, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Template>")]
    pub headers: BTreeMap<String, Spanned<Template>>,
    /// How requests are signed; the first of several alternatives is the default.
    #[schemars(with = "OneOrMany<AuthOption>")]
    pub auth: Spanned<OneOrMany<AuthOption>>,
    /// A request before the listing.
    #[serde(default)]
    #[schemars(with = "Option<Identify>")]
    pub identify: Option<Spanned<Identify>>,
    /// When the credential expires.
    #[serde(default)]
    #[schemars(with = "Option<Expiry>")]
    pub credential_expires_at: Option<Spanned<Expiry>>,
    #[serde(deserialize_with = "listing::form::listing")]
    #[schemars(with = "schema::Users")]
    pub users: Arc<Listing>,
    /// Rules that are tried in order on every response, before the defaults. The first that matches decides.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
    /// Where an error response explains itself.
    #[serde(default)]
    pub error_details: ErrorDetails,
    /// Where the application says how long to wait, in addition to the usual headers.
    #[serde(default)]
    pub rate_limit: RateLimit,
}

impl Manifest {
    /// What the listing provides: the users, and the optional parts that are mapped.
    pub fn capabilities(&self) -> Vec<Capability> {
        let invitations = self.users.has_invitations().then_some(Capability::Invitations);
        let parts = Capability::of(&self.provided_fields()).into_iter().chain(invitations);
        parts.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub fn provided_fields(&self) -> Vec<UserField> {
        UserField::ALL.iter().copied().filter(|field| self.users.provides(*field)).collect()
    }

    /// Whether the listing can do without the answer to `identify`: nothing is made from it but the credential's end.
    pub fn may_skip_identify(&self) -> bool {
        let rule = self.identify.as_ref().map(|rule| &rule.value).filter(|rule| rule.optional);
        rule.is_some_and(|rule| !check::uses_found(self, |name| rule.keep.contains_key(name)))
    }

    /// The alternatives for signing requests, of which the user chooses one.
    pub fn options(&self) -> &[AuthOption] {
        &self.auth.value.0
    }

    /// What people call the credential that signs requests.
    pub fn credential_name(&self, config: &Config) -> &'static str {
        if self.has_password(config) { "password" } else { "credential" }
    }

    /// Whether the credential is a password, with which wrong guesses may lock an account.
    pub fn has_password(&self, config: &Config) -> bool {
        let says_password = |text: &str| text.to_lowercase().contains("password");
        let mut secrets = self.config.iter().map(|field| &field.value).filter(|field| field.secret());
        matches!(self.chosen(config).auth, Auth::Basic(_) | Auth::Session(_))
            && secrets.any(|field| says_password(&field.key) || says_password(&field.label))
    }

    /// Derives what the file does not contain: the form, and the name of a single kind of `auth`.
    fn finish(&mut self) {
        let options = &mut self.auth.value.0;
        if let [only] = options.as_mut_slice() {
            "default".clone_into(&mut only.key);
            only.auth.kind().label().clone_into(&mut only.label);
        }
        let choice = (options.len() > 1).then(|| ConfigField::choice(options));
        let fields = self.config.iter().map(|field| {
            let mut field = field.value.clone();
            field.only_with = check::only_with(self, &field.key);
            field.decides_host = check::decides_host(self, &field.key);
            field
        });
        self.form = choice.into_iter().chain(fields).collect();
        self.needed = check::needed(self);
    }
}

/// A host name, or `*.` followed by the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HostPattern(pub String);

impl HostPattern {
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == self.0,
        }
    }
}

/// Something in a manifest that must be corrected before it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// From 1; 0 if the fault has no single position.
    pub line: u64,
    /// From 1; 0 if the fault has no single position.
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

/// The parts of a manifest that decide neither who is listed nor what is read of them.
const WORDS_AND_TRANSPORT: [&str; 13] = [
    "name",
    "also_known_as",
    "category",
    "description",
    "documentation_url",
    "required_permissions",
    "setup",
    "config",
    "auth",
    "credential_expires_at",
    "errors",
    "error_details",
    "rate_limit",
];

/// A digest of what decides who is listed and what is read of them. If it is the same, differences between two
/// listings come from the application.
pub(crate) fn digest(text: &str, file_name: &str) -> Result<String, Fault> {
    let mut manifest: serde_json::Map<String, serde_json::Value> = yaml::read(text, file_name, LIMITS)?;
    manifest.retain(|key, _| !WORDS_AND_TRANSPORT.contains(&key.as_str()));
    let text = serde_json::Value::from(manifest).to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    // Half of the hash is enough to distinguish manifests, and it is stored in every event.
    let half: [u8; 16] = digest.as_ref().first_chunk().copied().unwrap_or_default();
    Ok(format!("{:032x}", u128::from_be_bytes(half)))
}

/// Reads and checks a manifest. `file_name` gives the key, and is named in the faults.
pub fn parse(text: &str, file_name: &str) -> Result<Manifest, Vec<Fault>> {
    let mut manifest: Manifest = yaml::read(text, file_name, LIMITS).map_err(|fault| vec![fault])?;
    let base = file_name.rsplit('/').next().unwrap_or(file_name);
    manifest.key = String::from(base.strip_suffix(".yaml").unwrap_or(base));

    let faults = check::faults(&manifest, text, file_name);
    manifest.finish();
    if faults.is_empty() { Ok(manifest) } else { Err(faults) }
}

/// Recommendations: what a manifest should contain, but need not, so that older manifests keep working; and mistakes
/// that are often made.
pub fn advice(manifest: &Manifest, file_name: &str) -> Vec<Fault> {
    let mut advice = check::proof::advice(manifest, file_name);
    advice.extend(check::mistakes::advice(manifest, file_name));
    advice.sort_by_key(|fault| (fault.line, fault.column));
    advice
}
