//! `map`: which part of a record gives which field of a user.
//!
//! Every rule is evaluated on one record. A rule without a result means that the application did
//! not provide the field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::template::OneOrMany;
use crate::user::{AccountKind, FieldType, Timestamp, UserField, UserStatus};
use crate::with_user_fields;

mod choice;
mod flag;
mod labels;
mod text;
mod time;

pub use choice::Choice;
pub(super) use flag::FlagForm;
pub use flag::{Flag, FlagTest};
pub use labels::Labels;
pub(super) use labels::LabelsForm;
pub use text::Text;
pub(super) use text::TextForm;
pub use time::{Time, TimeFormat};

macro_rules! define {
    ($(
        #[doc = $doc:literal]
        $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*)
    )*) => {
        /// Which part of a record gives which field of a user.
        #[derive(Clone, Debug)]
        pub struct Mapping {
            /// The application's own, never reused id.
            pub external_id: Text,
            $(#[doc = $doc] pub $name: <$Type as FieldType>::Rule,)*
        }

        /// Which part of a record gives which field of a user.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = "Mapping")]
        pub(super) struct MappingForm {
            /// The application's own, never reused id.
            #[serde(default)]
            pub external_id: Option<Text>,
            $(
                #[doc = $doc]
                #[serde(default)]
                pub $name: Option<<$Type as FieldType>::Rule>,
            )*
        }

        impl MappingForm {
            /// The rules of a list that has these, and of the keys above it. Rules of the list replace those of the
            /// same field. If the list says where the id is, its records are of another kind, and no rule from above
            /// is for them. Fails with the name of a rule that is missing.
            pub(super) fn of(own: Option<&Self>, above: Option<&Self>) -> Result<Mapping, &'static str> {
                let has_own_id = own.is_some_and(|own| own.external_id.is_some());
                let above = above.filter(|_| !has_own_id);
                let rules = [own, above];
                let external_id = rules.iter().flatten().find_map(|rules| rules.external_id.clone());
                Ok(Mapping {
                    external_id: external_id.ok_or("external_id")?,
                    $($name: match rules.iter().flatten().find_map(|rules| rules.$name.clone()) {
                        Some(rule) => rule,
                        None => Rule::left_out().ok_or(stringify!($name))?,
                    },)*
                })
            }
        }

        impl Mapping {
            /// The rule of every field.
            pub fn rules(&self) -> impl Iterator<Item = (UserField, &dyn Rule)> {
                [$((UserField::$Variant, &self.$name as &dyn Rule)),*].into_iter()
            }
        }
    };
}

with_user_fields!(define);

/// The rule of a field, of any type.
pub trait Rule {
    /// The rule of a field that the manifest leaves out; `None` if it must not.
    fn left_out() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Whether the manifest has the rule.
    fn is_given(&self) -> bool {
        true
    }

    /// Adds the text of every path and test in the rule.
    fn add_expressions(&self, found: &mut Vec<String>);
}

impl<R: Rule> Rule for Option<R> {
    fn left_out() -> Option<Self> {
        Some(None)
    }

    fn is_given(&self) -> bool {
        self.is_some()
    }

    fn add_expressions(&self, found: &mut Vec<String>) {
        if let Some(rule) = self {
            rule.add_expressions(found);
        }
    }
}

impl<R: Rule> Rule for OneOrMany<R> {
    fn add_expressions(&self, found: &mut Vec<String>) {
        self.0.iter().for_each(|rule| rule.add_expressions(found));
    }
}

impl Mapping {
    pub fn has(&self, field: UserField) -> bool {
        self.rules().any(|(of, rule)| of == field && rule.is_given())
    }

    /// Whether the application provides the field. The status is provided if it can be something
    /// else than active and unknown.
    pub fn provides(&self, field: UserField) -> bool {
        match field {
            UserField::Status => self.can_give(UserStatus::Suspended) || self.can_give(UserStatus::Invited),
            field => self.has(field),
        }
    }

    /// Whether everybody is invited, whatever the record says.
    pub fn is_of_invited(&self) -> bool {
        self.status.0.iter().all(|rule| matches!(rule, Choice::Always(UserStatus::Invited)))
    }

    /// Whether a user can get this status.
    pub fn can_give(&self, status: UserStatus) -> bool {
        self.status.0.iter().any(|rule| rule.can_give(&status))
    }
}

/// Raw values are compared without regard to case. Fails for one that no application can send: a path
/// finds no empty text.
fn lower_keys<T>(values: BTreeMap<String, T>) -> Result<BTreeMap<String, T>, &'static str> {
    if values.keys().any(|raw| raw.trim().is_empty()) {
        return Err("an empty text in values never matches, since a path finds none; write a rule with when before it");
    }
    Ok(values.into_iter().map(|(raw, value)| (raw.to_lowercase(), value)).collect())
}
