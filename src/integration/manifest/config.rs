//! The settings of a connection, and whether given values fit them.

use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::Manifest;
use super::answers::compile_regex;
use crate::integration::source::Config;

/// No setting is longer, in bytes.
const LONGEST: usize = 8 * 1024;

/// One field of the form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigField {
    /// What templates call it; lower-case letters, digits and `_`.
    pub key: String,
    /// What the form calls it.
    pub label: String,
    #[serde(rename = "type")]
    pub kind: FieldKind,
    #[serde(default)]
    pub optional: bool,
    /// Taken when the field is left empty.
    #[serde(default)]
    pub default: Option<String>,
    /// What the whole value must match.
    #[serde(default)]
    pub pattern: Option<WholePattern>,
    /// The values of an `enum`.
    #[serde(default)]
    pub options: Vec<String>,
    #[serde(default)]
    pub placeholder: Option<String>,
    #[serde(default)]
    pub help: Option<String>,
}

/// What a setting may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    Text,
    /// Stored encrypted, never shown again.
    Secret,
    /// `https://…`, without user, query or fragment.
    Url,
    /// A host name, with a port if need be.
    Host,
    Email,
    /// One of `options`.
    Enum,
    Integer,
}

/// A regular expression for a whole value, as in a form: it needs no `^` and `$`.
#[derive(Clone, Debug)]
pub struct WholePattern {
    /// As the manifest has it.
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
    /// Whether the form must be given a value.
    pub fn required(&self) -> bool {
        !self.optional && self.default.is_none()
    }

    pub fn secret(&self) -> bool {
        self.kind == FieldKind::Secret
    }

    /// Why a value does not fit, as a sentence for the form; it never repeats the value.
    pub fn objection(&self, value: &str) -> Option<String> {
        let label = &self.label;
        if value.len() > LONGEST || value.chars().any(char::is_control) {
            return Some(format!("{label} is too long, or has line breaks or control characters in it."));
        }
        let wrong = match self.kind {
            FieldKind::Text | FieldKind::Secret => None,
            FieldKind::Url => (!is_plain_url(value)).then_some("must be an address such as https://example.com/path"),
            FieldKind::Host => (!is_host(value)).then_some("must be a host name such as example.com"),
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

/// A setting that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    pub key: String,
    /// A sentence for a person; it never repeats the value.
    pub message: String,
}

impl Manifest {
    /// The settings, in the order of the form.
    pub fn fields(&self) -> impl Iterator<Item = &ConfigField> {
        self.config.iter().map(|field| &field.value)
    }

    pub fn field(&self, key: &str) -> Option<&ConfigField> {
        self.fields().find(|field| field.key == key)
    }

    /// The settings as the engine takes them: trimmed, with defaults filled in.
    /// An empty value counts as left out. Errors are all that is wrong, in the order of the form.
    pub fn complete(&self, mut given: Config) -> Result<Config, Vec<ConfigFault>> {
        let mut complete = Config::new();
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push(ConfigFault { key: key.to_owned(), message });
        for field in self.fields() {
            let value = given.remove(&field.key);
            let value = value.as_deref().map(str::trim).filter(|value| !value.is_empty());
            match value.or(field.default.as_deref()) {
                Some(value) => match field.objection(value) {
                    Some(message) => fault(&field.key, message),
                    None => drop(complete.insert(field.key.clone(), value.to_owned())),
                },
                None if field.required() => fault(&field.key, format!("{} is required.", field.label)),
                None => {}
            }
        }
        for key in given.keys() {
            fault(key, format!("{} has no setting “{key}”.", self.name));
        }
        if faults.is_empty() { Ok(complete) } else { Err(faults) }
    }
}
