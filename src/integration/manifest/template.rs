//! `{{config.x}}` in a text, and values that may be one or many.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use crate::integration::source::Config;

/// A text with settings in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A stretch of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// The value of the setting with this key.
    Config(String),
}

impl Template {
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The settings that it mentions.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Config(key) => Some(key.as_str()),
        })
    }

    /// The text with the settings filled in, as they are; a setting that was left out is empty.
    pub fn expand(&self, config: &Config) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Config(key) => config.get(key).cloned().unwrap_or_default(),
        };
        self.parts.iter().map(text).collect()
    }

    /// The text as the parts of a path. A setting never adds a part: a slash in it is encoded later.
    pub fn expand_segments(&self, config: &Config) -> Vec<String> {
        let mut segments = vec![String::new()];
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    let mut pieces = text.split('/');
                    if let (Some(last), Some(first)) = (segments.last_mut(), pieces.next()) {
                        last.push_str(first);
                    }
                    segments.extend(pieces.map(str::to_owned));
                }
                Part::Config(key) => {
                    if let (Some(last), Some(value)) = (segments.last_mut(), config.get(key)) {
                        last.push_str(value);
                    }
                }
            }
        }
        segments
    }

    fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, after)) = rest.split_once("{{") {
            let (inside, behind) =
                after.split_once("}}").ok_or("“{{” without “}}”; write {{config.key}}".to_owned())?;
            let key = inside.trim().strip_prefix("config.").filter(|key| !key.is_empty());
            let key = key.ok_or_else(|| format!("“{{{{{inside}}}}}” is not known; write {{{{config.key}}}}"))?;
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            parts.push(Part::Config(key.to_owned()));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A single value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> OneOrManyVisitor<T> {
    fn scalar<E: de::Error>(text: String) -> Result<OneOrMany<T>, E> {
        let deserializer: StringDeserializer<E> = text.into_deserializer();
        Ok(OneOrMany(vec![T::deserialize(deserializer)?]))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value, or a list of values")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::scalar(text.to_owned())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::scalar(value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::scalar(value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::scalar(value.to_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(OneOrMany(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        if values.is_empty() {
            return Err(de::Error::custom("an empty list says nothing; leave the key out"));
        }
        Ok(OneOrMany(values))
    }
}
