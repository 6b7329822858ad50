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
//! | [`auth`] | how calls are signed |
//! | [`listing`] | where the users are, and further calls for what is missing |
//! | [`expr`] | JSONPath: paths into a record, and tests on it |
//! | [`paging`] | the ways in which pages follow each other |
//! | [`mapping`] | from a record to the columns of a user |
//! | [`answers`] | what a refusal means, and how long to wait |
//! | [`schema`] | the language as a JSON Schema, for editors |
//! | `yaml` | YAML in bounds, and faults of shape in words |
//! | `check` | the checks on a manifest as a whole |
//!
//! The language as its users know it is in `docs/connectors.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use url::Url;

use crate::source::Capability;
use crate::user::UserField;

pub mod answers;
pub mod auth;
mod check;
pub mod config;
pub mod expr;
pub mod listing;
pub mod mapping;
pub mod paging;
pub mod schema;
pub mod template;
pub(crate) mod yaml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use answers::{ErrorDetails, ErrorRule, RateLimit};
use auth::AuthOption;
use config::ConfigField;
use listing::{Expiry, Identify, Listing};
use template::{OneOrMany, Template};

/// Longer manifests are not read.
const LIMITS: yaml::Limits = yaml::Limits { bytes: 256 * 1024, nodes: 20_000 };

/// What the catalog is filtered by.
const CATEGORIES: [&str; 11] = [
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

/// One application's connector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The file's name without `.yaml`; what `Integration.key` is.
    #[serde(skip)]
    pub key: String,
    /// The application's name, as its vendor writes it.
    pub name: String,
    /// Such as `identity` or `communication`; the catalog is filtered by it.
    #[schemars(extend("enum" = CATEGORIES))]
    pub category: String,
    /// One sentence for the catalog.
    pub description: String,
    /// Where the vendor describes the interface that is used here.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub documentation_url: Option<Spanned<String>>,
    /// Scopes, roles or rights that the credential needs, in the application's own words.
    #[serde(default)]
    pub required_permissions: Vec<String>,
    /// What a person does in the application to get the credential.
    pub setup: String,
    /// The settings of a connection.
    #[schemars(with = "Vec<ConfigField>")]
    pub config: Vec<Spanned<ConfigField>>,
    /// The form: `config`, after the choice of authentication where there is one.
    #[serde(skip)]
    pub form: Vec<ConfigField>,
    /// What calls for users take from the application's answers, by name.
    #[serde(skip)]
    pub needed: Vec<String>,
    /// What every call's address begins with.
    #[schemars(with = "Template")]
    pub base_url: Spanned<Template>,
    /// The hosts that a base address which the application gave may have, such as `*.salesforce.com`.
    #[serde(default)]
    #[schemars(with = "Vec<HostPattern>")]
    pub base_url_hosts: Vec<Spanned<HostPattern>>,
    /// Further origins that the address of a next page may have.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub other_origins: Vec<Spanned<Url>>,
    /// Whose data a connection sees. Without it: the host, if a setting decides on it.
    #[serde(default)]
    #[schemars(with = "Option<Template>")]
    pub tenant: Option<Spanned<Template>>,
    /// Headers that go with every call, by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Template>")]
    pub headers: BTreeMap<String, Spanned<Template>>,
    /// How calls are signed; the first of several is the default.
    #[schemars(with = "OneOrMany<AuthOption>")]
    pub auth: Spanned<OneOrMany<AuthOption>>,
    /// A call before the listing.
    #[serde(default)]
    #[schemars(with = "Option<Identify>")]
    pub identify: Option<Spanned<Identify>>,
    /// When the credential ends.
    #[serde(default)]
    #[schemars(with = "Option<Expiry>")]
    pub credential_expires_at: Option<Spanned<Expiry>>,
    #[serde(deserialize_with = "listing::listing")]
    #[schemars(with = "schema::Users")]
    pub users: Arc<Listing>,
    /// Tried in this order on every answer, before the defaults; the first that fits decides.
    #[serde(default)]
    #[schemars(with = "Vec<ErrorRule>")]
    pub errors: Vec<Spanned<ErrorRule>>,
    /// Where a refusal explains itself.
    #[serde(default)]
    pub error_details: ErrorDetails,
    /// Where the application says how long to wait, beyond the usual headers.
    #[serde(default)]
    pub rate_limit: RateLimit,
}

impl Manifest {
    /// What the listing provides: the users, and the optional parts that are mapped.
    pub fn capabilities(&self) -> Vec<Capability> {
        Capability::of(&self.provided_fields())
    }

    pub fn provided_fields(&self) -> Vec<UserField> {
        let map = &self.users.map.value;
        UserField::ALL.iter().copied().filter(|field| map.provides(*field)).collect()
    }

    /// The ways of signing, of which the user picks one.
    pub fn options(&self) -> &[AuthOption] {
        &self.auth.value.0
    }

    /// Gives a single way of signing the name that it need not have in the file, and makes the form.
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

/// A host name, or `*.` and the end of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HostPattern(pub String);

impl HostPattern {
    pub fn fits(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => host == self.0,
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
    let mut manifest: Manifest = yaml::read(text, file_name, LIMITS).map_err(|fault| vec![fault])?;
    let base = file_name.rsplit('/').next().unwrap_or(file_name);
    manifest.key = String::from(base.strip_suffix(".yaml").unwrap_or(base));

    let faults = check::faults(&manifest, text, file_name);
    manifest.finish();
    if faults.is_empty() { Ok(manifest) } else { Err(faults) }
}
