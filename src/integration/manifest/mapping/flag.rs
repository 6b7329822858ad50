//! Rules for what is either yes or no.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::manifest::expr::{Path, Predicate};
use crate::manifest::template::OneOrMany;

/// A yes or no.
#[derive(Clone, Debug)]
pub struct Flag {
    pub test: FlagTest,
    /// Where this test fails, the value is unknown.
    pub known_when: Option<Predicate>,
}

/// What a [`Flag`] asks.
#[derive(Clone, Debug)]
pub enum FlagTest {
    /// `$.is_admin`, or a list of paths: the first that finds a yes or no.
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
pub(in crate::manifest) struct FlagForm {
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
    /// Where this test fails, the value is unknown.
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
