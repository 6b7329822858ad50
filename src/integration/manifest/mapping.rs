//! From a record to the columns of a user.
//!
//! Every rule is evaluated on one record and may come to nothing; nothing means
//! that the application did not say.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::expr::{Path, Predicate};
use super::schema::{self, Scalar};
use super::template::OneOrMany;
use crate::source::UserStatus;

/// Which part of a record is which column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The application's own, never reused id.
    pub external_id: Text,
    #[serde(default)]
    pub email: Option<Text>,
    #[serde(default)]
    pub display_name: Option<Text>,
    pub status: OneOrMany<StatusRule>,
    #[serde(default)]
    pub is_admin: Option<Flag>,
    #[serde(default)]
    pub mfa_enabled: Option<Flag>,
    #[serde(default)]
    pub licenses: Option<OneOrMany<Labels>>,
    #[serde(default)]
    pub last_active_at: Option<Time>,
}

/// A column that an application may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    Email,
    DisplayName,
    IsAdmin,
    MfaEnabled,
    Licenses,
    LastActiveAt,
}

impl Mapping {
    pub fn has(&self, column: Column) -> bool {
        match column {
            Column::Email => self.email.is_some(),
            Column::DisplayName => self.display_name.is_some(),
            Column::IsAdmin => self.is_admin.is_some(),
            Column::MfaEnabled => self.mfa_enabled.is_some(),
            Column::Licenses => self.licenses.is_some(),
            Column::LastActiveAt => self.last_active_at.is_some(),
        }
    }
}

/// A text.
#[derive(Debug)]
pub enum Text {
    /// `$.name`: the first that is not empty.
    Path(Path),
    /// A list: the first rule that comes to something.
    First(Vec<Text>),
    /// `{join: […], with: " "}`: what comes to something, strung together.
    Join { parts: Vec<Text>, with: String },
    /// `{const: …}`
    Const(String),
    /// `{when: test, then: rule}`: nothing where the test fails.
    When { test: Predicate, then: Box<Text> },
    /// `{of: rule, values: {raw: text}}`: a raw value that is not in the table stays as it is.
    Lookup { of: Box<Text>, values: BTreeMap<String, String> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextForm {
    /// What comes to something, strung together.
    join: Option<Vec<Text>>,
    /// What stands between the parts of `join`; a space if it is left out.
    with: Option<String>,
    /// Always this text.
    #[schemars(with = "Option<Scalar>")]
    r#const: Option<String>,
    /// The text of `then`, where this holds.
    when: Option<Predicate>,
    then: Option<Box<Text>>,
    /// The text that is looked up in `values`.
    of: Option<Box<Text>>,
    /// Raw values that are shown otherwise; one that is not in the table stays as it is.
    #[schemars(with = "Option<BTreeMap<String, Scalar>>")]
    values: Option<BTreeMap<String, String>>,
}

impl TryFrom<TextForm> for Text {
    type Error = &'static str;

    fn try_from(form: TextForm) -> Result<Self, Self::Error> {
        match form {
            TextForm { join: Some(parts), with, r#const: None, when: None, then: None, of: None, values: None } => {
                Ok(Self::Join { parts, with: with.unwrap_or_else(|| " ".to_owned()) })
            }
            TextForm {
                r#const: Some(text),
                join: None,
                with: None,
                when: None,
                then: None,
                of: None,
                values: None,
            } => Ok(Self::Const(text)),
            TextForm {
                when: Some(test),
                then: Some(then),
                join: None,
                with: None,
                r#const: None,
                of: None,
                values: None,
            } => Ok(Self::When { test, then }),
            TextForm {
                of: Some(of),
                values: Some(values),
                join: None,
                with: None,
                r#const: None,
                when: None,
                then: None,
            } => Ok(Self::Lookup { of, values: lower(values) }),
            _ => Err(
                "write a path, a list, {join: […], with: …}, {const: …}, {when: …, then: …} or {of: …, values: {…}}",
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, a list of rules, or a rule such as {join: […]}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Path::deserialize(de::value::StrDeserializer::new(text)).map(Text::Path)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Text, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Text::First)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
                TextForm::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Raw values are compared without regard to case.
fn lower<T>(values: BTreeMap<String, T>) -> BTreeMap<String, T> {
    values.into_iter().map(|(raw, value)| (raw.to_lowercase(), value)).collect()
}

/// One of the rules for a user's status; the first that comes to something decides.
#[derive(Debug)]
pub enum StatusRule {
    /// `active`: always.
    Always(UserStatus),
    /// `{when: test, then: suspended}`
    When { test: Predicate, then: UserStatus },
    /// `{of: rule, values: {raw: status}}`: raw values are compared without regard to
    /// case; one that is not in the table is `unknown`, and counted.
    Lookup { of: Text, values: BTreeMap<String, UserStatus> },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusForm {
    /// The status of `then`, where this holds.
    when: Option<Predicate>,
    #[schemars(with = "Option<schema::Status>")]
    then: Option<UserStatus>,
    /// The raw value that is looked up in `values`.
    of: Option<Text>,
    /// The status of each raw value; one that is not in the table is unknown, and counted.
    #[schemars(with = "Option<BTreeMap<String, schema::Status>>")]
    values: Option<BTreeMap<String, UserStatus>>,
}

impl TryFrom<StatusForm> for StatusRule {
    type Error = &'static str;

    fn try_from(form: StatusForm) -> Result<Self, Self::Error> {
        match form {
            StatusForm { when: Some(test), then: Some(then), of: None, values: None } => Ok(Self::When { test, then }),
            StatusForm { of: Some(of), values: Some(values), when: None, then: None } => {
                Ok(Self::Lookup { of, values: lower(values) })
            }
            _ => Err("write a status, {when: test, then: status} or {of: path, values: {raw: status}}"),
        }
    }
}

impl<'de> Deserialize<'de> for StatusRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatusVisitor;
        impl<'de> Visitor<'de> for StatusVisitor {
            type Value = StatusRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("active, suspended, invited or unknown, or a rule such as {when: …, then: …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusRule, E> {
                UserStatus::deserialize(de::value::StrDeserializer::new(text)).map(StatusRule::Always)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StatusRule, A::Error> {
                StatusForm::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(StatusVisitor)
    }
}

/// A yes or no.
#[derive(Debug)]
pub struct Flag {
    pub test: FlagTest,
    /// Where this fails, the application did not say.
    pub known_when: Option<Predicate>,
}

/// What a [`Flag`] asks.
#[derive(Debug)]
pub enum FlagTest {
    /// `$.is_admin`, or a list of paths: the first that leads to a yes or no.
    Paths(Vec<Path>),
    /// `{any: [test, …]}`
    Any(Vec<Predicate>),
    /// `{all: [test, …]}`
    All(Vec<Predicate>),
    /// `{not: flag}`
    Not(Box<Flag>),
    /// `{present_in: join}`
    PresentIn(String),
    /// `{absent_in: join}`
    AbsentIn(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FlagForm {
    /// Yes where one of the tests holds.
    any: Option<OneOrMany<Predicate>>,
    /// Yes where all tests hold.
    all: Option<OneOrMany<Predicate>>,
    /// The opposite.
    not: Option<Box<Flag>>,
    /// Yes for those who are in the join of this name.
    present_in: Option<String>,
    /// Yes for those who are not in the join of this name.
    absent_in: Option<String>,
    /// Where this fails, the application did not say.
    known_when: Option<Predicate>,
}

impl TryFrom<FlagForm> for Flag {
    type Error = &'static str;

    fn try_from(form: FlagForm) -> Result<Self, Self::Error> {
        let tests = [
            form.any.map(|tests| FlagTest::Any(tests.0)),
            form.all.map(|tests| FlagTest::All(tests.0)),
            form.not.map(FlagTest::Not),
            form.present_in.map(FlagTest::PresentIn),
            form.absent_in.map(FlagTest::AbsentIn),
        ];
        let mut given = tests.into_iter().flatten();
        let (Some(test), None) = (given.next(), given.next()) else {
            return Err(
                "write a path, or exactly one of {any: […]}, {all: […]}, {not: …}, {present_in: join} and {absent_in: join}",
            );
        };
        Ok(Self { test, known_when: form.known_when })
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagVisitor;
        impl<'de> Visitor<'de> for FlagVisitor {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, a list of paths, or a rule such as {any: […]}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
                let path = Path::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(Flag { test: FlagTest::Paths(vec![path]), known_when: None })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Flag, A::Error> {
                let paths = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(Flag { test: FlagTest::Paths(paths), known_when: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Flag, A::Error> {
                FlagForm::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(FlagVisitor)
    }
}

/// A part of a list of texts: all that a path leads to.
#[derive(Debug)]
pub struct Labels {
    pub path: Path,
    /// Raw values that are shown otherwise; one that is not in the table stays as it is.
    pub values: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelsForm {
    /// The raw values.
    of: Path,
    /// Raw values that are shown otherwise; one that is not in the table stays as it is.
    #[schemars(with = "BTreeMap<String, Scalar>")]
    values: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or {of: path, values: {raw: text}}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Labels, E> {
                let path = Path::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(Labels { path, values: BTreeMap::new() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Labels, A::Error> {
                let LabelsForm { of: path, values } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Labels { path, values: lower(values) })
            }
        }
        deserializer.deserialize_any(LabelsVisitor)
    }
}

/// A moment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The first that leads to a moment.
    pub from: OneOrMany<Path>,
    pub format: TimeFormat,
    /// Raw values that mean “never”. The beginning of 1970 always does.
    #[serde(default)]
    #[schemars(with = "Vec<Scalar>")]
    pub null_if: Vec<String>,
}

/// How a moment is written.
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

impl Mapping {
    /// The optional columns that are mapped, in the order of the register.
    pub fn columns(&self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(|column| self.has(*column))
    }

    /// Whether a status other than active and unknown may come out.
    pub fn tells_status(&self) -> bool {
        self.tells(UserStatus::Suspended) || self.tells(UserStatus::Invited)
    }

    /// Whether this status may come out.
    pub fn tells(&self, status: UserStatus) -> bool {
        self.status.0.iter().any(|rule| match rule {
            StatusRule::Always(then) | StatusRule::When { then, .. } => *then == status,
            StatusRule::Lookup { values, .. } => values.values().any(|then| *then == status),
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "email",
            Self::DisplayName => "display_name",
            Self::IsAdmin => "is_admin",
            Self::MfaEnabled => "mfa_enabled",
            Self::Licenses => "licenses",
            Self::LastActiveAt => "last_active_at",
        })
    }
}

impl Column {
    pub const ALL: [Self; 6] =
        [Self::Email, Self::DisplayName, Self::IsAdmin, Self::MfaEnabled, Self::Licenses, Self::LastActiveAt];
}
