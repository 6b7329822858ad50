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
//! 3. what is shown of a user (`Reported` in `src/directory/reported.rs`) gets one, too
//! 4. the table below gets an entry
//! 5. the API's type `User` (`src/graphql/user/mod.rs`) gets a resolver
//!
//! The compiler or a test names each of these that is missing. The tests also say which files are
//! out of date and how to write them again: `schema.graphql`, `docs/connector.schema.json`, and the
//! table of `map` in `docs/connectors.md`. A value of a new type needs an `impl` of [`FieldType`],
//! a rule for manifests, and an `impl` of `Stored` in `sync::stored`; the compiler asks for these.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::source::Capability;

mod value;

pub use value::{AccountKind, FieldType, FieldValue, Timestamp, UserStatus};

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

            /// Whether a person, a program or several people use the account.
            kind: Kind(Option<AccountKind>) {
                api_name: "kind",
                heading: "Kind",
                longest: 0,
                capability: Some(Capability::Users),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.kind()))

            /// Whether the user belongs to another organisation and was invited into this one.
            guest: Guest(Option<bool>) {
                api_name: "guest",
                heading: "Guest",
                longest: 0,
                capability: Some(Capability::Users),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.number % 20 == 11))

            /// When the account was made in the application.
            created_at: CreatedAt(Option<Timestamp>) {
                api_name: "createdAt",
                heading: "Created",
                longest: 0,
                capability: Some(Capability::Users),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.created_at()))

            /// The further e-mail addresses of the account.
            aliases: Aliases(Option<Vec<String>>) {
                api_name: "aliases",
                heading: "Further addresses",
                longest: 320,
                capability: Some(Capability::Profile),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.aliases()))

            /// The id by which the company's directory or identity provider knows the user; `externalId` of SCIM.
            source_id: SourceId(Option<String>) {
                api_name: "sourceId",
                heading: "Source ID",
                longest: 500,
                capability: Some(Capability::Profile),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(format!("directory-{}", person.number)))

            /// The number or text by which the company's personnel records know the user.
            employee_id: EmployeeId(Option<String>) {
                api_name: "employeeId",
                heading: "Employee ID",
                longest: 500,
                capability: Some(Capability::Profile),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(format!("E{:06}", person.number)))

            /// The department of the user in the company.
            department: Department(Option<String>) {
                api_name: "department",
                heading: "Department",
                longest: 500,
                capability: Some(Capability::Profile),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| Some(person.department().to_owned()))

            /// The manager of the user: an id or an address, as the application writes it.
            manager: Manager(Option<String>) {
                api_name: "manager",
                heading: "Manager",
                longest: 500,
                capability: Some(Capability::Profile),
                recorded: true,
                keeps_last: false,
            } rehearsal(|person| person.manager())
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
    /// Whether the register keeps the last time if the application gives none, or says “never”, because it stays
    /// true.
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
