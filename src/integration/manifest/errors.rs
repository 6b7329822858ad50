//! What an error response means, and how long to wait after it.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::expr::{Path, Predicate};
use super::template::OneOrMany;
use crate::source::{Advice, ErrorClass};

/// A rule that classifies a response if all given conditions match.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// HTTP status codes, including successful ones.
    #[serde(default)]
    pub status: Vec<u16>,
    /// Patterns that headers must match, by name.
    #[serde(default)]
    pub header: BTreeMap<String, Pattern>,
    /// A test on the body. It fails if the body is not JSON.
    #[serde(default)]
    pub when: Option<Predicate>,
    /// A pattern that the body must match, whether it is JSON, HTML or plain text. Only its first 64 KiB are looked at.
    #[serde(default)]
    pub text: Option<Pattern>,
    pub is: Classification,
    /// A sentence for a person, in place of the standard one.
    #[serde(default)]
    pub message: Option<String>,
}

impl ErrorRule {
    /// Whether the rule looks at the status alone, so that it cannot tell whose response it is.
    pub fn is_about_status(&self) -> bool {
        self.header.is_empty() && self.when.is_none() && self.text.is_none()
    }
}

/// What an error response means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// The credential was certainly revoked, or has expired.
    TokenRevoked,
    /// The credential was not accepted. It is checked again before the instance is switched off.
    Token,
    /// The credential lacks a permission.
    Permission,
    /// There were too many requests.
    RateLimit,
    /// The error may pass by itself.
    Transient,
    /// The settings or the manifest do not fit the application.
    Config,
    /// The page is too large or too costly. It is requested again with half as many records.
    TooLarge,
    /// The application does not know the position in the list any more, so the list is read from its beginning.
    PositionExpired,
}

impl Classification {
    pub fn class(self) -> ErrorClass {
        match self {
            Self::TokenRevoked | Self::Token => ErrorClass::Token,
            Self::Permission => ErrorClass::Permission,
            Self::RateLimit => ErrorClass::RateLimit,
            Self::Transient | Self::TooLarge | Self::PositionExpired => ErrorClass::Transient,
            Self::Config => ErrorClass::Config,
        }
    }

    /// Whether the application said explicitly that the credential is revoked or has expired.
    pub fn is_definite(self) -> bool {
        self == Self::TokenRevoked
    }

    /// Whether the credential was refused, and not certainly for good.
    pub fn is_bare_refusal(self) -> bool {
        matches!(self, Self::Token | Self::Permission)
    }

    pub fn advice(self) -> Advice {
        match self {
            Self::TooLarge => Advice::SmallerPage,
            Self::PositionExpired => Advice::ReadAgain,
            Self::TokenRevoked | Self::Token | Self::Permission | Self::RateLimit | Self::Transient | Self::Config => {
                Advice::None
            }
        }
    }
}

/// Where an error response explains itself.
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
    /// A pattern that finds the missing scope in a body of any form. Its first group is the scope.
    #[serde(default)]
    pub permission_pattern: Option<Pattern>,
    /// Whether the application refuses in plain text. Otherwise, a refusal in plain text is taken for one by
    /// something in front of the application.
    #[serde(default)]
    pub plain_text: bool,
}

/// Where the application says how long to wait, in addition to the usual headers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Headers with a time, or with a number of seconds.
    #[serde(default)]
    pub reset_header: OneOrMany<String>,
    #[serde(default)]
    pub in_body: Option<WaitInBody>,
    /// Headers that say how many requests are left, in addition to the usual ones.
    #[serde(default)]
    pub remaining_header: OneOrMany<String>,
    /// How many requests a connection may send at a time.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// The longest total wait of one request.
    #[serde(default)]
    pub max_wait_seconds: Option<u32>,
}

/// A wait in the body.
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

/// A regular expression that some part of the text must match.
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
