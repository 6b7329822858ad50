//! Templates (`{{…}}` in texts and JSON bodies), paths in a body, and keys that take one value or a list.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use serde_json::{Map, Value};

use super::expr::scalar;
use crate::source::Config;

/// A text that contains values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    /// `{{config.key}}`, or `{{config.key.member}}` for a setting that is a JSON object.
    Config(String, Option<String>),
    /// `{{found.name}}`
    Found(String),
    /// `{{record.member.member}}`
    Record(Vec<String>),
    /// `{{token}}`
    Token,
}

/// Where templates take their values from.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub config: &'a Config,
    pub found: &'a BTreeMap<String, String>,
    pub record: Option<&'a Value>,
    pub token: Option<&'a str>,
}

impl<'a> Scope<'a> {
    pub fn new(config: &'a Config, found: &'a BTreeMap<String, String>) -> Self {
        Self { config, found, record: None, token: None }
    }
}

impl Part {
    /// The value; empty if the setting was left out or nothing was found.
    pub fn value(&self, scope: Scope<'_>) -> String {
        let found = match self {
            Self::Text(text) => Some(text.clone()),
            Self::Config(key, None) => scope.config.get(key).cloned(),
            Self::Config(key, Some(member)) => scope.config.get(key).and_then(|json| {
                let value: Value = serde_json::from_str(json).ok()?;
                scalar(value.get(member)?)
            }),
            Self::Found(name) => scope.found.get(name).cloned(),
            Self::Record(members) => scope
                .record
                .and_then(|record| scalar(members.iter().try_fold(record, |value, member| value.get(member))?)),
            Self::Token => scope.token.map(str::to_owned),
        };
        found.unwrap_or_default()
    }

    fn parse(inside: &str) -> Result<Self, String> {
        let mut words = inside.trim().split('.');
        let part = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("token"), None, ..) => Some(Self::Token),
            (Some("config"), Some(key), member, None) => Some(Self::Config(key.to_owned(), member.map(str::to_owned))),
            (Some("found"), Some(name), None, _) => Some(Self::Found(name.to_owned())),
            (Some("record"), Some(_), ..) => {
                Some(Self::Record(inside.trim().split('.').skip(1).map(str::to_owned).collect()))
            }
            _ => None,
        };
        let named = inside.trim().split('.').all(|word| !word.is_empty());
        part.filter(|_| named).ok_or_else(|| {
            format!("“{{{{{inside}}}}}” is not known; write {{{{config.key}}}}, {{{{found.name}}}}, {{{{record.member}}}} or {{{{token}}}}")
        })
    }
}

impl Template {
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether the template contains no value.
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The names of the `{{found.x}}` values in it.
    pub fn found(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Found(name) => Some(name.as_str()),
            Part::Text(_) | Part::Config(..) | Part::Record(_) | Part::Token => None,
        })
    }

    /// The keys of the settings in it.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Config(key, _) => Some(key.as_str()),
            Part::Text(_) | Part::Found(_) | Part::Record(_) | Part::Token => None,
        })
    }

    /// The text with its values, which are not encoded.
    pub fn expand(&self, scope: Scope<'_>) -> String {
        self.parts.iter().map(|part| part.value(scope)).collect()
    }

    /// The text as the segments of a path. A value never adds a segment, because a slash in it is encoded later.
    pub fn expand_segments(&self, scope: Scope<'_>) -> Vec<String> {
        let mut segments = vec![String::new()];
        for part in &self.parts {
            if let Part::Text(text) = part {
                let mut pieces = text.split('/');
                if let (Some(last), Some(first)) = (segments.last_mut(), pieces.next()) {
                    last.push_str(first);
                }
                segments.extend(pieces.map(str::to_owned));
            } else if let Some(last) = segments.last_mut() {
                last.push_str(&part.value(scope));
            }
        }
        segments
    }

    pub fn parse(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, after)) = rest.split_once("{{") {
            let (inside, behind) =
                after.split_once("}}").ok_or("“{{” without “}}”; write {{config.key}}".to_owned())?;
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            parts.push(Part::parse(inside)?);
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

/// A JSON body whose texts are templates.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonTemplate {
    Text(Template),
    List(Vec<JsonTemplate>),
    Object(BTreeMap<String, JsonTemplate>),
    /// A number, a boolean or null.
    Plain(Value),
}

impl JsonTemplate {
    pub fn expand(&self, scope: Scope<'_>) -> Value {
        match self {
            Self::Text(text) => Value::String(text.expand(scope)),
            Self::List(list) => list.iter().map(|item| item.expand(scope)).collect(),
            Self::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), value.expand(scope))).collect::<Map<_, _>>().into()
            }
            Self::Plain(value) => value.clone(),
        }
    }

    /// Whether it has a member of this name, at any depth.
    pub fn has_member(&self, name: &str) -> bool {
        match self {
            Self::Text(_) | Self::Plain(_) => false,
            Self::List(list) => list.iter().any(|item| item.has_member(name)),
            Self::Object(members) => {
                members.contains_key(name) || members.values().any(|member| member.has_member(name))
            }
        }
    }

    /// The templates in it.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(list) => list.iter().flat_map(Self::templates).collect(),
            Self::Object(members) => members.values().flat_map(Self::templates).collect(),
            Self::Plain(_) => Vec::new(),
        }
    }
}

impl TryFrom<Value> for JsonTemplate {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::parse(&text)?),
            Value::Array(list) => Self::List(list.into_iter().map(Self::try_from).collect::<Result<_, _>>()?),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| Ok((name, Self::try_from(value)?)));
                Self::Object(members.collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain),
        })
    }
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The path of a member of a JSON body, such as `$.variables.after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPath(Vec<String>);

impl BodyPath {
    /// Sets the member, and creates the objects on the way to it.
    pub fn put(&self, body: &mut Value, value: Value) {
        let mut place = body;
        for member in &self.0 {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[member.as_str()];
        }
        *place = value;
    }
}

impl fmt::Display for BodyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$.{}", self.0.join("."))
    }
}

impl<'de> Deserialize<'de> for BodyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let members: Option<Vec<String>> =
            text.strip_prefix("$.").map(|path| path.split('.').map(str::to_owned).collect());
        let plain = |member: &String| {
            !member.is_empty() && member.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter))
        };
        members.filter(|members| members.iter().all(plain)).map(Self).ok_or_else(|| {
            de::Error::custom("a place in the body is written $.member.member, such as $.variables.after")
        })
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
