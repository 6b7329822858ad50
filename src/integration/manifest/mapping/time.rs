//! Rules for times.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::manifest::expr::{Path, Predicate};
use crate::manifest::schema::Scalar;
use crate::manifest::template::OneOrMany;

/// A point in time.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The first path that finds a time.
    pub from: OneOrMany<Path>,
    pub format: TimeFormat,
    /// Raw values that mean “never”. The beginning of 1970 always does.
    #[serde(default)]
    #[schemars(with = "Vec<Scalar>")]
    pub null_if: Vec<String>,
    /// Where this test fails, the time is unknown, whatever `absent` says.
    #[serde(default)]
    pub known_when: Option<Predicate>,
}

/// The format of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// ISO 8601: a date, or a date and a time; UTC where it names no zone.
    Iso,
    EpochS,
    EpochMs,
    /// As in HTTP headers and mail: `Sun, 01 Mar 2026 12:00:00 GMT`.
    Rfc1123,
}
