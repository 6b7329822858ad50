//! Rows as values: each field of a struct, or of a tuple, from the column at its position.
//!
//! A struct derives [`serde::Deserialize`], and its fields have the names of the columns. The names are compared for
//! the first row of each answer, so that a column can never be read as another one. A read of some [`Columns`] leaves
//! the other fields empty.

use std::fmt::{self, Display};

use sea_orm::{EntityTrait, Iterable, QuerySelect, Select};
use serde::Deserializer;
use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Some columns of a row, by their position in its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Columns(u64);

impl Columns {
    pub const ALL: Self = Self(u64::MAX);

    pub const NONE: Self = Self(0);

    /// With one more. There is room for 64.
    #[must_use]
    pub fn with(self, position: usize) -> Self {
        Self(self.0 | 1 << position)
    }

    pub fn has(self, position: usize) -> bool {
        self == Self::ALL || self.0 >> position & 1 == 1
    }

    /// Leaves the other columns out of what is selected of an entity.
    pub fn of<E: EntityTrait>(self, select: Select<E>) -> Select<E> {
        if self == Self::ALL {
            return select;
        }
        let wanted = E::Column::iter().enumerate().filter(|(position, _)| self.has(*position));
        select.select_only().columns(wanted.map(|(_, column)| column))
    }
}

/// The value of a column.
pub(super) enum Cell<'a> {
    /// It was not read.
    Absent,
    Null,
    Bool(bool),
    Integer(i64),
    /// A text, an enum or JSON.
    Text(&'a str),
    /// Bytes or a UUID.
    Bytes(&'a [u8]),
}

/// A row of an answer.
pub(super) trait Row {
    fn len(&self) -> usize;

    /// The name of a column.
    fn name(&self, column: usize) -> &str;

    fn cell(&self, column: usize) -> Result<Cell<'_>, Mismatch>;
}

/// A row is not what the program expects.
#[derive(Debug)]
pub struct Mismatch(String);

impl Mismatch {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Decodes the rows of one answer.
pub(super) struct Decoder {
    columns: Columns,
    /// Whether the columns have been compared with what is read from them.
    checked: bool,
}

impl Decoder {
    pub(super) fn new(columns: Columns) -> Self {
        Self { columns, checked: false }
    }

    pub(super) fn decode<T: DeserializeOwned>(&mut self, row: &impl Row) -> Result<T, Mismatch> {
        let value = T::deserialize(RowDeserializer { row, columns: self.columns, checked: self.checked })?;
        self.checked = true;
        Ok(value)
    }
}

struct RowDeserializer<'a, R> {
    row: &'a R,
    columns: Columns,
    checked: bool,
}

impl<R: Row> RowDeserializer<'_, R> {
    fn check(&self, fields: &[&str]) -> Result<(), Mismatch> {
        let wanted =
            fields.iter().enumerate().filter(|(position, _)| self.columns.has(*position)).map(|(_, name)| *name);
        if wanted.eq((0..self.row.len()).map(|index| self.row.name(index))) {
            return Ok(());
        }
        let columns: Vec<&str> = (0..self.row.len()).map(|index| self.row.name(index)).collect();
        Err(Mismatch(format!("the columns are {columns:?}, and not {fields:?}")))
    }
}

impl<'de, R: Row> Deserializer<'de> for RowDeserializer<'de, R> {
    type Error = Mismatch;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        if !self.checked {
            self.check(fields)?;
        }
        visitor.visit_seq(Cells { row: self.row, columns: self.columns, fields: fields.len(), field: 0, column: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Mismatch> {
        if self.row.len() != len {
            return Err(Mismatch(format!("{} columns, and not {len}", self.row.len())));
        }
        visitor.visit_seq(Cells { row: self.row, columns: Columns::ALL, fields: len, field: 0, column: 0 })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::new("a row is read as a struct or a tuple"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple_struct map enum identifier ignored_any
    }
}

struct Cells<'a, R> {
    row: &'a R,
    columns: Columns,
    fields: usize,
    /// The next field, and the column of the next one that was read.
    field: usize,
    column: usize,
}

impl<'de, R: Row> SeqAccess<'de> for Cells<'de, R> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        if self.field == self.fields {
            return Ok(None);
        }
        let field = self.field;
        self.field += 1;
        if !self.columns.has(field) {
            return seed.deserialize(Cell::Absent).map(Some);
        }
        let column = self.column;
        self.column += 1;
        let read = self.row.cell(column).and_then(|cell| seed.deserialize(cell));
        read.map(Some).map_err(|Mismatch(wrong)| Mismatch(format!("{}: {wrong}", self.row.name(column))))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields - self.field)
    }
}

impl Cell<'_> {
    fn unexpected(&self, wanted: &str) -> Mismatch {
        let found = match self {
            Cell::Absent => "a column that was not read",
            Cell::Null => "null",
            Cell::Bool(_) => "a Boolean",
            Cell::Integer(_) => "an integer",
            Cell::Text(_) => "a text",
            Cell::Bytes(_) => "bytes",
        };
        Mismatch(format!("{found} in place of {wanted}"))
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = Mismatch;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Absent | Cell::Null => visitor.visit_none(),
            cell => visitor.visit_some(cell),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Absent => visitor.visit_bool(false),
            Cell::Bool(value) => visitor.visit_bool(value),
            // SQLite has no Booleans.
            Cell::Integer(value) => visitor.visit_bool(value != 0),
            cell => Err(cell.unexpected("a Boolean")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Absent => visitor.visit_i64(0),
            Cell::Integer(value) => visitor.visit_i64(value),
            cell => Err(cell.unexpected("an integer")),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Absent => visitor.visit_str(""),
            Cell::Text(text) => visitor.visit_str(text),
            cell => Err(cell.unexpected("a text")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_string(visitor)
    }

    /// An enum is stored as a text.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Text(text) => {
                let name: StrDeserializer<'_, Mismatch> = text.into_deserializer();
                visitor.visit_enum(name)
            }
            cell => Err(cell.unexpected("a text")),
        }
    }

    /// A UUID.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Absent => visitor.visit_bytes(&[0; 16]),
            Cell::Bytes(bytes) => visitor.visit_bytes(bytes),
            cell => Err(cell.unexpected("bytes")),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_bytes(visitor)
    }

    /// `Vec<u8>` asks for this.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Cell::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            cell => Err(cell.unexpected("bytes")),
        }
    }

    /// Only JSON asks for this.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let text = match self {
            Cell::Absent => return visitor.visit_unit(),
            Cell::Text(text) => text,
            cell => return Err(cell.unexpected("JSON")),
        };
        let wrong = |error: serde_json::Error| Mismatch(error.to_string());
        let mut json = serde_json::Deserializer::from_str(text);
        let value = json.deserialize_any(visitor).map_err(wrong)?;
        json.end().map_err(wrong)?;
        Ok(value)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}
