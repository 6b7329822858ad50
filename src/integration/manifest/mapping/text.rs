//! Rules for texts.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::lower_keys;
use crate::manifest::expr::{Path, Predicate};
use crate::manifest::schema::Scalar;

/// A text.
#[derive(Clone, Debug)]
pub enum Text {
    /// `$.name`: the first that is not empty.
    Path(Path),
    /// A list: the first rule that has a result.
    First(Vec<Text>),
    /// `{join: […], with: " "}`: all results, joined.
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
pub(in crate::manifest) struct TextForm {
    /// All results, joined.
    join: Option<Vec<Text>>,
    /// The separator between the parts of `join`; a space if it is left out.
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
            } => Ok(Self::Lookup { of, values: lower_keys(values)? }),
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
