//! Where the records of a response are, and in which form.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::expr::{Document, ListPath, Path, scalar};

/// Where the records are in a response, and in which form.
#[derive(Clone, Debug)]
pub enum Records {
    /// `$.users`: a list. An entry that is a text or a number becomes `{value: …}`.
    List(ListPath),
    /// `{map: $.users, key: name}`: an object with a record in each member. The record gets the member's name as `key`.
    Map { at: ListPath, key: String },
    /// `{rows: $.data, columns: …}`: lists of values, and the names of their columns.
    Rows { at: ListPath, columns: Columns },
}

/// The names of the columns of [`Records::Rows`].
#[derive(Clone, Debug)]
pub enum Columns {
    /// As the manifest says.
    Fixed(Vec<String>),
    /// As the response says.
    At(Path),
}

/// Why there are no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRecords {
    /// There is nothing at the path, or null.
    Missing,
    /// A clause for a person.
    Wrong(String),
}

/// The member under which an entry's value stands that is no object.
const VALUE: &str = "value";

impl Records {
    /// The path of the list.
    pub fn path(&self) -> &ListPath {
        match self {
            Self::List(at) | Self::Map { at, .. } | Self::Rows { at, .. } => at,
        }
    }

    /// Takes the records out of a response, each as an object.
    pub fn take(&self, response: &mut Document) -> Result<Vec<Value>, NoRecords> {
        let columns = match self {
            Self::Rows { columns: Columns::Fixed(names), .. } => names.clone(),
            Self::Rows { columns: Columns::At(path), .. } => path.all(response).filter_map(scalar).collect(),
            Self::List(_) | Self::Map { .. } => Vec::new(),
        };
        let found = response.take(self.path()).filter(|found| !found.is_null()).ok_or(NoRecords::Missing)?;
        match (self, found) {
            (Self::List(_), Value::Array(entries)) => Ok(entries.into_iter().map(in_object).collect()),
            (Self::Map { key, .. }, Value::Object(members)) => Ok(members
                .into_iter()
                .map(|(name, member)| {
                    let mut record = in_object(member);
                    if let Value::Object(record) = &mut record {
                        record.insert(key.clone(), name.into());
                    }
                    record
                })
                .collect()),
            // An object without members, as PHP writes it.
            (Self::Map { .. }, Value::Array(entries)) if entries.is_empty() => Ok(Vec::new()),
            (Self::Rows { .. }, Value::Array(rows)) => {
                rows.into_iter().enumerate().map(|(number, row)| named(&columns, number, row)).collect()
            }
            _ => Err(NoRecords::Missing),
        }
    }
}

/// An entry that is a text, a number or a boolean, as an object.
fn in_object(entry: Value) -> Value {
    match entry {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => serde_json::json!({VALUE: entry}),
        other => other,
    }
}

/// A row as an object.
fn named(columns: &[String], number: usize, row: Value) -> Result<Value, NoRecords> {
    let wrong = |clause: String| Err(NoRecords::Wrong(clause));
    let Value::Array(values) = row else { return wrong(format!("row {} of the list is no list", number + 1)) };
    if values.len() != columns.len() {
        let (values, columns) = (values.len(), columns.len());
        return wrong(format!("row {} of the list has {values} values, and there are {columns} columns", number + 1));
    }
    Ok(columns.iter().cloned().zip(values).collect::<serde_json::Map<_, _>>().into())
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { at, columns: Columns::At(columns) } => write!(f, "{at} {columns}"),
            Self::List(at) | Self::Map { at, .. } | Self::Rows { at, .. } => at.fmt(f),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsForm {
    /// The path of an object with a record in each member.
    map: Option<ListPath>,
    /// The name under which a record gets the name of its member, such as `id`.
    key: Option<String>,
    /// The path of a list of rows, each of which is a list of values.
    rows: Option<ListPath>,
    /// The names of the columns: a path that finds them in the response, or a list of names.
    columns: Option<ColumnsForm>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ColumnsForm {
    Fixed(Vec<String>),
    At(Path),
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordsVisitor;
        impl<'de> Visitor<'de> for RecordsVisitor {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a list, {map: path, key: name}, or {rows: path, columns: path}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Records, E> {
                ListPath::deserialize(de::value::StrDeserializer::new(text)).map(Records::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Records, A::Error> {
                let form: RecordsForm = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                match form {
                    RecordsForm { map: Some(at), key: Some(key), rows: None, columns: None } if !key.is_empty() => {
                        Ok(Records::Map { at, key })
                    }
                    RecordsForm { rows: Some(at), columns: Some(columns), map: None, key: None } => {
                        let columns = match columns {
                            ColumnsForm::Fixed(names) => Columns::Fixed(names),
                            ColumnsForm::At(path) => Columns::At(path),
                        };
                        Ok(Records::Rows { at, columns })
                    }
                    _ => Err(de::Error::custom("write a path, {map: path, key: name} or {rows: path, columns: path}")),
                }
            }
        }
        deserializer.deserialize_any(RecordsVisitor)
    }
}
