//! Enums that get more values from version to version.
//!
//! While replicas are replaced one after another, those of the old version read what the new one has written. A value that
//! a version does not know is read as the variant with `#[serde(other)]`, so that the other rows of a page are still shown.

use std::fmt;

use sea_orm::DbErr;
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};

/// The text that is stored for a value.
pub fn text(value: &impl Serialize) -> String {
    struct Text<'a, E>(&'a E);

    impl<E: Serialize> fmt::Display for Text<'_, E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }

    Text(value).to_string()
}

/// The value that a text is stored for.
pub fn value<E: DeserializeOwned>(text: &str) -> Result<E, DbErr> {
    let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    E::deserialize(text).map_err(|error| DbErr::Type(error.to_string()))
}

/// Stores an enum as text, as `DeriveActiveEnum` does, in the form that serde gives it.
macro_rules! growing {
    ($ty:ident, $length:literal) => {
        impl sea_orm::ActiveEnum for $ty {
            type Value = String;
            type ValueVec = Vec<String>;

            fn name() -> sea_orm::sea_query::DynIden {
                sea_orm::sea_query::Alias::new(stringify!($ty)).into()
            }

            fn to_value(&self) -> String {
                crate::growing::text(self)
            }

            fn try_from_value(text: &String) -> Result<Self, sea_orm::DbErr> {
                crate::growing::value(text)
            }

            fn db_type() -> sea_orm::ColumnDef {
                let length = sea_orm::sea_query::StringLen::N($length);
                sea_orm::prelude::ColumnTypeTrait::def(sea_orm::ColumnType::String(length))
            }
        }

        impl From<$ty> for sea_orm::Value {
            fn from(value: $ty) -> Self {
                crate::growing::text(&value).into()
            }
        }

        impl sea_orm::TryGetable for $ty {
            fn try_get_by<I: sea_orm::ColIdx>(
                row: &sea_orm::QueryResult,
                index: I,
            ) -> Result<Self, sea_orm::TryGetError> {
                let text = <String as sea_orm::TryGetable>::try_get_by(row, index)?;
                crate::growing::value(&text).map_err(sea_orm::TryGetError::DbErr)
            }
        }

        impl sea_orm::sea_query::ValueType for $ty {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                let text = <String as sea_orm::sea_query::ValueType>::try_from(value)?;
                crate::growing::value(&text).map_err(|_| sea_orm::sea_query::ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($ty).to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                <String as sea_orm::sea_query::ValueType>::array_type()
            }

            fn column_type() -> sea_orm::ColumnType {
                <Self as sea_orm::ActiveEnum>::db_type().get_column_type().to_owned()
            }
        }

        impl sea_orm::sea_query::Nullable for $ty {
            fn null() -> sea_orm::Value {
                <String as sea_orm::sea_query::Nullable>::null()
            }
        }

        impl sea_orm::IntoActiveValue<$ty> for $ty {
            fn into_active_value(self) -> sea_orm::ActiveValue<$ty> {
                sea_orm::ActiveValue::set(self)
            }
        }
    };
}

pub(crate) use growing;
