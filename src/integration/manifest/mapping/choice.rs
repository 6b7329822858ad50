//! Rules for values of a fixed set, such as the status.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Text, lower_keys};
use crate::manifest::expr::Predicate;
use crate::manifest::schema::exactly;

/// One of the rules for a value of the set `T`. The first rule that applies gives the value.
#[derive(Clone, Debug)]
pub enum Choice<T> {
    /// `active`: always.
    Always(T),
    /// `{when: test, then: suspended}`
    When { test: Predicate, then: T },
    /// `{of: rule, values: {raw: status}}`: the value for a raw value, which is compared without
    /// regard to case. A raw value that is not in the table is counted as unknown.
    Lookup { of: Text, values: BTreeMap<String, T> },
}

impl<T: PartialEq> Choice<T> {
    /// Whether the rule can give this value.
    pub fn can_give(&self, value: &T) -> bool {
        match self {
            Self::Always(then) | Self::When { then, .. } => then == value,
            Self::Lookup { values, .. } => values.values().any(|then| then == value),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChoiceForm<T> {
    /// The value of `then`, where this holds.
    when: Option<Predicate>,
    then: Option<T>,
    /// The raw value that is looked up in `values`.
    of: Option<Text>,
    /// The value for each raw value. A raw value that is not in the table is counted as unknown.
    values: Option<BTreeMap<String, T>>,
}

impl<T> TryFrom<ChoiceForm<T>> for Choice<T> {
    type Error = &'static str;

    fn try_from(form: ChoiceForm<T>) -> Result<Self, Self::Error> {
        match form {
            ChoiceForm { when: Some(test), then: Some(then), of: None, values: None } => Ok(Self::When { test, then }),
            ChoiceForm { of: Some(of), values: Some(values), when: None, then: None } => {
                Ok(Self::Lookup { of, values: lower_keys(values)? })
            }
            _ => Err("write a value, {when: test, then: value} or {of: path, values: {raw: value}}"),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoiceVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ChoiceVisitor<T> {
            type Value = Choice<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or a rule such as {when: …, then: …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Choice<T>, E> {
                T::deserialize(StrDeserializer::new(text)).map(Choice::Always)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Choice<T>, A::Error> {
                ChoiceForm::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(ChoiceVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Choice<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Rule", T::schema_name()))
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let form = exactly::<ChoiceForm<T>>(generator, &[&["when", "then"], &["of", "values"]]);
        let value = generator.subschema_for::<T>();
        json_schema!({"description": "A value, or a rule for one.", "anyOf": [value, form]})
    }
}
