//! Rules for lists of texts.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::lower_keys;
use crate::manifest::expr::Path;
use crate::manifest::schema::Scalar;

/// A list of texts: all values that a path finds.
#[derive(Clone, Debug)]
pub struct Labels {
    pub path: Path,
    /// Raw values that are shown otherwise.
    pub values: BTreeMap<String, String>,
    /// What a raw value that is not in the table is shown as; without it, the raw value itself.
    pub other: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::manifest) struct LabelsForm {
    /// The raw values.
    of: Path,
    /// Raw values that are shown otherwise; one that is not in the table stays as it is.
    #[schemars(with = "BTreeMap<String, Scalar>")]
    values: BTreeMap<String, String>,
    /// What a raw value that is not in the table is shown as; `""` leaves it out.
    #[schemars(with = "Option<Scalar>")]
    other: Option<String>,
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
                Ok(Labels { path, values: BTreeMap::new(), other: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Labels, A::Error> {
                let LabelsForm { of: path, values, other } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                let values = lower_keys(values).map_err(de::Error::custom)?;
                Ok(Labels { path, values, other })
            }
        }
        deserializer.deserialize_any(LabelsVisitor)
    }
}
