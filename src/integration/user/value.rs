//! The types of the fields' values.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Kind;
use crate::manifest::mapping::{Choice, Flag, Labels, Text, Time};
use crate::manifest::template::OneOrMany;

/// A field's value of any type. It is serialized as samples write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FieldValue<'a> {
    Text(&'a str),
    Flag(bool),
    Texts(&'a [String]),
    Time(Timestamp),
    Word(&'static str),
}

impl FieldValue<'_> {
    /// Whether it is a list without entries.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Texts([]))
    }

    /// Whether the application told it. A rule may find an empty list, or “never”, in a record that tells nothing.
    pub(crate) fn is_news(&self) -> bool {
        !self.is_empty() && *self != Self::Time(Timestamp::NEVER)
    }
}

/// A type that fields can have.
pub trait FieldType {
    /// How a manifest says where the value is.
    type Rule;
    const KIND: Kind;
    const IS_OPTIONAL: bool = true;
    fn value(&self) -> Option<FieldValue<'_>>;
}

impl FieldType for Option<String> {
    type Rule = Option<Text>;
    const KIND: Kind = Kind::Text;

    fn value(&self) -> Option<FieldValue<'_>> {
        self.as_deref().map(FieldValue::Text)
    }
}

impl FieldType for Option<bool> {
    type Rule = Option<Flag>;
    const KIND: Kind = Kind::Flag;

    fn value(&self) -> Option<FieldValue<'_>> {
        self.map(FieldValue::Flag)
    }
}

impl FieldType for Option<Vec<String>> {
    type Rule = Option<OneOrMany<Labels>>;
    const KIND: Kind = Kind::Texts;

    fn value(&self) -> Option<FieldValue<'_>> {
        self.as_deref().map(FieldValue::Texts)
    }
}

impl FieldType for Option<Timestamp> {
    type Rule = Option<Time>;
    const KIND: Kind = Kind::Time;

    fn value(&self) -> Option<FieldValue<'_>> {
        self.map(FieldValue::Time)
    }
}

impl FieldType for Option<AccountKind> {
    type Rule = Option<OneOrMany<Choice<AccountKind>>>;
    const KIND: Kind = UserStatus::KIND;

    fn value(&self) -> Option<FieldValue<'_>> {
        self.map(|kind| {
            FieldValue::Word(match kind {
                AccountKind::Human => "human",
                AccountKind::Service => "service",
                AccountKind::Shared => "shared",
            })
        })
    }
}

impl FieldType for UserStatus {
    type Rule = OneOrMany<Choice<UserStatus>>;
    const KIND: Kind = Kind::Word;
    const IS_OPTIONAL: bool = false;

    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Word(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Invited => "invited",
            Self::Unknown => "unknown",
        }))
    }
}

/// Whether a user can sign in to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    Suspended,
    /// Invited, and not joined yet.
    Invited,
    /// The application gave no status, or one that the manifest does not know.
    Unknown,
}

/// What uses an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A person.
    Human,
    /// A program: a bot, an integration, a service account.
    Service,
    /// Several people: a shared mailbox, a room.
    Shared,
}

/// A point in time, in Unix milliseconds. It is written as in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The last activity of a user who was never active. It is written `never`.
    pub const NEVER: Self = Self(0);
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        match DateTime::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self::NEVER);
        }
        let time = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| de::Error::custom("a time is written as 2026-01-02T03:04:05Z"))?;
        Ok(Self(time.timestamp_millis()))
    }
}
