//! A user as an application lists it. The fields of a user are in one table.
//!
//! [`with_user_fields!`](crate::with_user_fields) is a macro that contains the table and passes it to another
//! macro, which writes code for every field. These macros are:
//!
//! | in | writes |
//! | --- | --- |
//! | this file | [`SourceUser`], and [`UserField`] with the [`FieldInfo`] of each field |
//! | `manifest::mapping` | the keys of `map` in a manifest |
//! | `engine::map` | how a record becomes a user |
//! | `rehearsal` | the users of the built-in application |
//! | `sync::row` of the server | how a user is compared with its row and copied into it |
//!
//! Everything else iterates over the fields with [`UserField::ALL`] or [`SourceUser::values`]: samples, the output of
//! `muster connectors try`, the JSON Schema of manifests, the catalog, the console's tables.
//!
//! # How to add a field
//!
//! 1. a migration adds the column to `user_account`; it can be null
//! 2. the entity (`entity/src/user.rs`) gets a member of the same name
//! 3. what is shown of a user (`Reported` in `src/directory/users.rs`) gets one, too
//! 4. the table below gets an entry
//! 5. the API's type `User` (`src/graphql/user/mod.rs`) gets a resolver
//!
//! The compiler or a test names each of these that is missing. The tests also say which files are
//! out of date and how to write them again: `schema.graphql`, `docs/connector.schema.json`, and the
//! table of `map` in `docs/connectors.md`. A value of a new type needs an `impl` of [`FieldType`],
//! a rule for manifests, and an `impl` of `Stored` in `sync::row`; the compiler asks for these.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, SecondsFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::manifest::mapping::{Choice, Flag, Labels, Text, Time};
use crate::manifest::template::OneOrMany;
use crate::source::Capability;

/// The table of fields. Its order is the order in which fields are shown.
///
/// - The comment is the description in the API, the console and the JSON Schema; one line.
/// - The name is that of the column, of the key in a manifest and of the member of [`SourceUser`].
/// - In parentheses is the type; `Option` where an application may leave the field out.
/// - The braces hold the [`FieldInfo`].
/// - `rehearsal` gives the value for a user of the built-in application.
#[macro_export]
macro_rules! with_user_fields {
    ($callback:ident) => {
        $callback! {
            /// The e-mail address.
            email: Email(Option<String>) {
                api_name: "email",
                heading: "E-mail",
                longest: 320,
                capability: None,
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.email()))

            /// The name of the user.
            display_name: DisplayName(Option<String>) {
                api_name: "displayName",
                heading: "Name",
                longest: 500,
                capability: None,
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.name()))

            /// Whether an account is suspended or invited. Without it, every listed account counts as active.
            status: Status(UserStatus) {
                api_name: "status",
                heading: "Status",
                longest: 0,
                capability: Some(Capability::Users),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| person.status())

            /// Whether the user is an administrator.
            is_admin: IsAdmin(Option<bool>) {
                api_name: "isAdmin",
                heading: "Admin",
                longest: 0,
                capability: Some(Capability::AdminRoles),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.number % 40 == 0))

            /// Whether a second factor is set up for the user.
            mfa_enabled: MfaEnabled(Option<bool>) {
                api_name: "mfaEnabled",
                heading: "MFA",
                longest: 0,
                capability: Some(Capability::Mfa),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.number % 5 != 0))

            /// The licences or seats of the user.
            licenses: Licenses(Option<Vec<String>>) {
                api_name: "licenses",
                heading: "Licences",
                longest: 200,
                capability: Some(Capability::Licenses),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(vec![if person.number % 3 == 0 { "Full" } else { "Basic" }.to_owned()]))

            /// When the user was last active.
            last_active_at: LastActiveAt(Option<Timestamp>) {
                api_name: "lastActiveAt",
                heading: "Last active",
                longest: 0,
                capability: Some(Capability::LastActivity),
                recorded: false,
                keeps_last: true,
            } rehearsal(|person| Some(person.last_active_at()))
        }
    };
}

macro_rules! define {
    ($(
        #[doc = $doc:literal]
        $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*)
    )*) => {
        /// One user as the application lists it. `None` means that the application gave no value: the user has none,
        /// or it is not known. The register then has no value either, unless the field is in `refused`.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct SourceUser {
            /// The application's own id of the account, unique in the application.
            pub external_id: String,
            $(#[doc = $doc] pub $name: $Type,)*
            /// The fields that this listing could not read, because their part was refused or broken. Their values
            /// here mean nothing; the register keeps its own.
            #[serde(skip)]
            pub refused: BTreeSet<UserField>,
        }

        impl SourceUser {
            /// The value of every field, in the order of the table.
            pub fn values(&self) -> impl Iterator<Item = (UserField, Option<FieldValue<'_>>)> {
                [$((UserField::$Variant, self.$name.value())),*].into_iter()
            }
        }

        /// A field of `User` that not every application provides.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
        pub enum UserField {
            $(#[doc = $doc] $Variant,)*
        }

        impl UserField {
            pub const ALL: &[Self] = &[$(Self::$Variant),*];

            pub const fn info(self) -> &'static FieldInfo {
                match self {
                    $(Self::$Variant => const {
                        &FieldInfo {
                            name: stringify!($name),
                            description: $doc,
                            kind: <$Type as FieldType>::KIND,
                            is_optional: <$Type as FieldType>::IS_OPTIONAL,
                            $($info)*
                        }
                    },)*
                }
            }
        }
    };
}

with_user_fields!(define);

/// The table's facts about a field.
#[derive(Debug)]
pub struct FieldInfo {
    /// The name in manifests and in the database.
    pub name: &'static str,
    pub api_name: &'static str,
    pub description: &'static str,
    /// The heading of its column in a table of users.
    pub heading: &'static str,
    pub kind: Kind,
    /// The longest text, in characters; 0 if the field has no text.
    pub longest: usize,
    pub is_optional: bool,
    /// The capability that the field belongs to. If the application refuses it, the sync continues without it.
    /// `None`: the sync fails if the field is refused.
    pub capability: Option<Capability>,
    /// Whether a change is recorded and counted. `false` for what changes with ordinary use.
    pub recorded: bool,
    /// Whether the register keeps the last value if the application gives none, because the value stays true.
    pub keeps_last: bool,
}

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Flag,
    Texts,
    Time,
    /// One of a fixed set of words.
    Word,
}

impl Kind {
    /// Whether a rule can have a result although the data that it evaluates is missing. Tests are then false, which
    /// means "no", and lists are empty. Paths to a text or a time find nothing.
    pub(crate) fn has_value_without_data(self) -> bool {
        match self {
            Self::Flag | Self::Texts | Self::Word => true,
            Self::Text | Self::Time => false,
        }
    }
}

impl fmt::Display for UserField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)
    }
}

impl Serialize for UserField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.info().name)
    }
}

impl<'de> Deserialize<'de> for UserField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().copied().find(|field| field.info().name == text);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|field| format!("`{field}`")).collect();
            de::Error::custom(format!("unknown column `{text}`, expected one of {}", names.join(", ")))
        })
    }
}

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

/// A point in time, in Unix milliseconds. It is written as in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let time = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| de::Error::custom("a time is written as 2026-01-02T03:04:05Z"))?;
        Ok(Self(time.timestamp_millis()))
    }
}
