//! The settings of a connection, and the checks on their values.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::Manifest;
use super::auth::AuthOption;
use super::errors::compile_regex;
use super::schema::Scalar;
use crate::source::Config;

/// The setting that chooses one of several kinds of `auth`.
pub const AUTHENTICATION: &str = "authentication";
/// The longest value of a setting, in bytes.
const MAX_VALUE: usize = 16 * 1024;

/// One field of the form.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigField {
    /// The name that templates use: lower-case letters, digits and `_`.
    pub key: String,
    /// The name that the form shows.
    pub label: String,
    #[serde(rename = "type")]
    pub kind: FieldKind,
    #[serde(default)]
    pub optional: bool,
    /// The value if the field is left empty.
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<String>,
    /// A regular expression that the whole value must match.
    #[serde(default)]
    pub pattern: Option<WholePattern>,
    /// The values of an `enum`.
    #[serde(default)]
    #[schemars(with = "Vec<Scalar>")]
    pub options: Vec<String>,
    #[serde(default)]
    #[schemars(with = "Option<Scalar>")]
    pub placeholder: Option<String>,
    #[serde(default)]
    pub help: Option<String>,
    /// The alternatives of `auth` that use the field; empty if all do.
    #[serde(skip)]
    pub only_with: Vec<String>,
    /// Whether it determines the host that the credential is sent to.
    #[serde(skip)]
    pub decides_host: bool,
}

/// The type of a configuration field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "graphql", graphql(name = "ConfigFieldType"))]
pub enum FieldKind {
    /// One line of text.
    Text,
    /// A secret of one line. Secrets are stored encrypted and never shown again.
    Secret,
    /// A secret of several lines, such as a PEM key.
    SecretText,
    /// A secret that is a JSON object, such as a service account's key.
    SecretJson,
    /// An address that begins with `https://`, without user, query or fragment.
    Url,
    /// A host name, optionally with a port. `http://` in front of it turns encryption off.
    Host,
    /// An e-mail address.
    Email,
    /// One of `options`.
    Enum,
    /// A whole number.
    Integer,
}

/// A regular expression that a whole value must match; it needs no `^` and `$`.
#[derive(Clone, Debug)]
pub struct WholePattern {
    /// As written in the manifest.
    pub source: String,
    whole: Regex,
}

impl<'de> Deserialize<'de> for WholePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        let whole = compile_regex(&format!("^(?:{source})$")).map_err(de::Error::custom)?;
        Ok(Self { source, whole })
    }
}

impl ConfigField {
    /// The field that chooses one of several kinds of `auth`.
    pub(super) fn choice(options: &[AuthOption]) -> Self {
        let labels: Vec<String> = options.iter().map(|option| format!("{}: {}", option.key, option.label)).collect();
        Self {
            key: AUTHENTICATION.to_owned(),
            label: "Authentication".to_owned(),
            kind: FieldKind::Enum,
            optional: false,
            default: options.first().map(|option| option.key.clone()),
            pattern: None,
            options: options.iter().map(|option| option.key.clone()).collect(),
            placeholder: None,
            help: Some(format!("How to sign in. {}.", labels.join("; "))),
            only_with: Vec::new(),
            decides_host: false,
        }
    }

    /// Whether the form requires a value.
    pub fn required(&self) -> bool {
        !self.optional && self.default.is_none()
    }

    pub fn secret(&self) -> bool {
        matches!(self.kind, FieldKind::Secret | FieldKind::SecretText | FieldKind::SecretJson)
    }

    /// Whether the form shows the field with this alternative of `auth`.
    pub fn asked_with(&self, alternative: Option<&str>) -> bool {
        self.only_with.is_empty() || alternative.is_some_and(|chosen| self.only_with.iter().any(|key| key == chosen))
    }

    /// Why a value is wrong, as a sentence for the form. It never repeats the value.
    pub fn problem(&self, value: &str) -> Option<String> {
        let label = &self.label;
        let lines = matches!(self.kind, FieldKind::SecretText | FieldKind::SecretJson);
        let wrong = |letter: char| letter.is_control() && !(lines && letter.is_ascii_whitespace());
        if value.len() > MAX_VALUE || value.chars().any(wrong) {
            let breaks = if lines { "" } else { "line breaks or " };
            return Some(format!("{label} is too long, or has {breaks}control characters in it."));
        }
        let wrong = match self.kind {
            FieldKind::Text | FieldKind::Secret | FieldKind::SecretText => None,
            FieldKind::SecretJson => (!is_json_object(value)).then_some("must be a JSON object, with its braces"),
            FieldKind::Url => (!is_plain_url(value)).then_some("must be an address such as https://example.com/path"),
            FieldKind::Host => {
                let host = value.strip_prefix(PLAIN_HTTP).unwrap_or(value);
                (!is_host(host)).then_some("must be a host name such as example.com")
            }
            FieldKind::Email => (!is_email(value)).then_some("must be an e-mail address"),
            FieldKind::Integer => value.parse::<i64>().is_err().then_some("must be a whole number"),
            FieldKind::Enum if self.options.iter().any(|option| option == value) => None,
            FieldKind::Enum => return Some(format!("{label} must be one of: {}.", self.options.join(", "))),
        };
        if let Some(wrong) = wrong {
            return Some(format!("{label} {wrong}."));
        }
        let matched = self.pattern.as_ref().is_none_or(|pattern| pattern.whole.is_match(value));
        (!matched).then(|| format!("{label} does not have the expected form."))
    }
}

/// What turns encryption off, in front of a host.
pub const PLAIN_HTTP: &str = "http://";

impl ConfigField {
    /// The value in the form that all ways of writing it share, so that a tenant has one name:
    /// no spaces around it; of an address or a host, lower case, no usual port, no slash at the end.
    pub fn normal(&self, value: &str) -> String {
        let value = value.trim();
        let normal = match self.kind {
            FieldKind::Url => normal_url(value),
            FieldKind::Host => normal_host(value),
            FieldKind::Text
            | FieldKind::Secret
            | FieldKind::SecretText
            | FieldKind::SecretJson
            | FieldKind::Email
            | FieldKind::Enum
            | FieldKind::Integer => None,
        };
        normal.unwrap_or_else(|| value.to_owned())
    }

    /// The value in a configuration, or the default.
    pub fn value_in(&self, config: &Config) -> Option<String> {
        let given = config.get(&self.key).map(|value| self.normal(value)).filter(|value| !value.is_empty());
        given.or_else(|| self.default.clone())
    }
}

fn normal_url(value: &str) -> Option<String> {
    let url = Url::parse(value).ok().filter(|_| is_plain_url(value))?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// A host that was pasted as an address loses what belongs to the address.
fn normal_host(value: &str) -> Option<String> {
    let written = value.trim_end_matches('/');
    let (plain, host) = match (written.strip_prefix(PLAIN_HTTP), written.strip_prefix("https://")) {
        (Some(host), _) => (PLAIN_HTTP, host),
        (None, Some(host)) => ("", host),
        (None, None) => ("", written),
    };
    let usual = if plain.is_empty() { ":443" } else { ":80" };
    is_host(host).then(|| format!("{plain}{}", host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase()))
}

fn is_json_object(value: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value).is_ok()
}

fn is_plain_url(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn is_host(value: &str) -> bool {
    let (name, port) = value.split_once(':').map_or((value, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_email(value: &str) -> bool {
    value.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && is_host(domain))
        && !value.contains(char::is_whitespace)
}

/// A setting that was given a wrong value, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    pub key: String,
    /// A sentence for a person; it never repeats the value.
    pub message: String,
}

impl SettingError {
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self { key: key.to_owned(), message: message.into() }
    }
}

impl Manifest {
    /// The alternative of `auth` that the settings choose; the first one by default.
    pub fn chosen<'a>(&'a self, config: &Config) -> &'a AuthOption {
        let key = config.get(AUTHENTICATION);
        let named = |option: &&AuthOption| key.is_some_and(|key| option.key == *key);
        let options = self.options();
        // The parser rejects an empty list.
        options.iter().find(named).unwrap_or(&options[0])
    }

    pub fn field(&self, key: &str) -> Option<&ConfigField> {
        self.form.iter().find(|field| field.key == key)
    }

    /// The settings as the engine needs them: in their normal form, with defaults, and without those
    /// of alternatives that were not chosen. An empty value counts as left out. Returns all errors,
    /// in the order of the form.
    pub fn complete(&self, given: Config) -> Result<Config, Vec<SettingError>> {
        complete(&self.name, &self.form, given)
    }
}

/// Does what [`Manifest::complete`] says, for any form.
pub fn complete(name: &str, form: &[ConfigField], mut given: Config) -> Result<Config, Vec<SettingError>> {
    let mut complete = Config::new();
    let mut errors = Vec::new();
    let mut error = |key: &str, message: String| errors.push(SettingError::new(key, message));
    for field in form {
        let value = field.value_in(&given);
        given.remove(&field.key);
        if !field.asked_with(complete.get(AUTHENTICATION).map(String::as_str)) {
            continue;
        }
        match value {
            Some(value) => match field.problem(&value) {
                Some(message) => error(&field.key, message),
                None => drop(complete.insert(field.key.clone(), value)),
            },
            None if field.required() => error(&field.key, format!("{} is required.", field.label)),
            None => {}
        }
    }
    let known: Vec<_> = form.iter().map(|field| field.key.as_str()).collect();
    for key in given.keys() {
        let cut: String = key.chars().filter(|letter| !letter.is_control()).take(64).collect();
        let message = format!("{name} has no setting “{cut}”; it has {}.", known.join(", "));
        error(&cut, message);
    }
    if errors.is_empty() { Ok(complete) } else { Err(errors) }
}
