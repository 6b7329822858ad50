//! What an answer that is not a page of users means.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::expr::{Path, Predicate};
use super::template::OneOrMany;

/// If all conditions that are given fit, the answer is what the rule says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// HTTP status codes, successful ones too.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Patterns that headers must match, by name.
    #[serde(default)]
    pub header: BTreeMap<String, Pattern>,
    /// A test on the body; it fails on a body that is not JSON.
    #[serde(default)]
    pub when: Option<Predicate>,
    pub is: Verdict,
    /// What a person should know, in place of the usual sentence.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The credential was revoked or has expired, without doubt.
    TokenRevoked,
    /// The credential was not accepted; it is asked once more before the instance is revoked.
    Token,
    /// The credential lacks a permission.
    Permission,
    /// Too many calls.
    RateLimit,
    /// May pass by itself.
    Transient,
    /// The settings, or the manifest, do not fit the application.
    Config,
}

/// Where a refusal explains itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorDetails {
    /// A sentence for a person, in the body.
    #[serde(default)]
    pub message: OneOrMany<Path>,
    /// The missing scope, in the body.
    #[serde(default)]
    pub permission: OneOrMany<Path>,
    /// The missing scope, in a header.
    #[serde(default)]
    pub permission_header: OneOrMany<String>,
}

/// Where the application says how long to wait, beyond the usual headers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Headers with a moment, or with seconds to wait.
    #[serde(default)]
    pub reset_header: OneOrMany<String>,
    #[serde(default)]
    pub in_body: Option<WaitInBody>,
    /// Headers that tell how many calls are left, beyond the usual ones.
    #[serde(default)]
    pub remaining_header: OneOrMany<String>,
    /// How many calls of one connection may be under way.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// The longest that all waits of a call may take together.
    #[serde(default)]
    pub max_wait_seconds: Option<u32>,
}

/// A wait that stands in the body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitInBody {
    pub at: Path,
    pub unit: WaitUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum WaitUnit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

impl WaitUnit {
    pub fn of(self, amount: u64) -> Duration {
        match self {
            Self::Seconds => Duration::from_secs(amount),
            Self::Milliseconds => Duration::from_millis(amount),
        }
    }
}

/// A regular expression that a part of the text must match.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        compile_regex(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

pub(super) fn compile_regex(source: &str) -> Result<Regex, String> {
    Regex::new(source).map_err(|error| {
        let text = error.to_string();
        format!("not a regular expression: {}", text.lines().last().unwrap_or_default().trim())
    })
}
