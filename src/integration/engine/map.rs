//! From a user's record to the register's fields, as the manifest's `map` says.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::Spanned;

use super::detail::DETAILS;
use super::record::Record;
use super::rules::{address, choice, flag, further_address, text, texts, tidy, time};
use crate::manifest::expr::{Document, JOINED};
use crate::manifest::listing::{Absent, Listing};
use crate::manifest::mapping::{Choice, Flag, Labels, Mapping, Rule, Text, Time};
use crate::manifest::template::OneOrMany;
use crate::user::{SourceUser, Timestamp, UserField, UserStatus};
use crate::with_user_fields;

/// The users of a page.
#[derive(Debug, Default)]
pub(super) struct MappedUsers {
    pub users: Vec<SourceUser>,
    /// The number of users with a status that the manifest does not know.
    pub unknown_statuses: u64,
    /// Of the fields that some user must have (`require_some`), those that at least one user has.
    pub carried: BTreeSet<UserField>,
    /// The fields that some record lacks, although the application always writes them.
    pub incomplete: BTreeSet<UserField>,
}

/// The fields that some user of a list must have. An invitation proves nothing of what is told of members.
fn required_fields(listing: &Listing, number: usize) -> BTreeSet<UserField> {
    let list = &listing.lists[number];
    let told = |field: &UserField| !list.is_of_invitations() && list.map.value.has(*field);
    listing.require_some.keys().copied().filter(told).collect()
}

/// Maps the users of a page of the list with this number, from 0. `carried` are the fields that a user of an earlier page has.
pub(super) fn map_users(
    listing: &Listing,
    number: usize,
    carried: &BTreeSet<UserField>,
    users: Vec<Record>,
) -> MappedUsers {
    let list = &listing.lists[number];
    let mut mapped = MappedUsers { users: Vec::with_capacity(users.len()), ..MappedUsers::default() };
    for Record { id, document, unknown, untold } in users {
        let mut context = Context {
            record: &document,
            unknown: &unknown,
            untold: &untold,
            refused: BTreeSet::new(),
            absent: &list.absent,
            incomplete: &mut mapped.incomplete,
            unknown_statuses: &mut mapped.unknown_statuses,
        };
        let mut user = user(&list.map.value, id, &mut context);
        drop_primary(&mut user);
        let carried = user.values().filter(|(_, value)| value.is_some_and(|value| value.is_news()));
        mapped.carried.extend(carried.map(|(field, _)| field));
        mapped.users.push(user);
    }
    // If nobody has such a field, a permission is missing. The field is then refused, and not empty.
    let required = required_fields(listing, number);
    mapped.carried.retain(|field| required.contains(field));
    for field in required.iter().filter(|field| !carried.contains(field) && !mapped.carried.contains(field)) {
        mapped.users.iter_mut().for_each(|user| _ = user.refused.insert(*field));
    }
    mapped
}

/// Takes the address of a user out of the further ones.
fn drop_primary(user: &mut SourceUser) {
    if let (Some(email), Some(aliases)) = (&user.email, &mut user.aliases) {
        aliases.retain(|alias| !alias.eq_ignore_ascii_case(email));
    }
}

macro_rules! define {
    ($( #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*) )*) => {
        fn user(map: &Mapping, external_id: String, context: &mut Context<'_>) -> SourceUser {
            SourceUser {
                external_id,
                $($name: map.$name.evaluate(UserField::$Variant, context),)*
                refused: std::mem::take(&mut context.refused),
            }
        }
    };
}

with_user_fields!(define);

/// What the value of a field depends on, besides its rule.
struct Context<'a> {
    record: &'a Document,
    /// The fields whose part of the record was refused.
    unknown: &'a BTreeSet<UserField>,
    /// The fields whose part of the record was not asked for.
    untold: &'a BTreeSet<UserField>,
    /// Of these, the fields for which the rest of the record has no value.
    refused: BTreeSet<UserField>,
    absent: &'a BTreeMap<UserField, Spanned<Absent>>,
    /// Fields that the record lacks, although the application always writes them.
    incomplete: &'a mut BTreeSet<UserField>,
    unknown_statuses: &'a mut u64,
}

/// A rule that gives the value of a field.
trait Evaluate {
    type Value;
    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> Self::Value;
}

impl Evaluate for OneOrMany<Choice<UserStatus>> {
    type Value = UserStatus;

    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> UserStatus {
        if !context.unknown.contains(&field) {
            return self.extract(field, context).unwrap_or(UserStatus::Unknown);
        }
        // Rules that come before the first one that looks at the part still decide.
        let own = self.0.iter().take_while(|rule| !looks_at_parts(*rule)).count();
        choice(&self.0[..own], context.record, context.unknown_statuses).unwrap_or_else(|| {
            context.refused.insert(field);
            UserStatus::Unknown
        })
    }
}

impl<R: Extract> Evaluate for Option<R> {
    type Value = Option<R::Value>;

    fn evaluate(&self, field: UserField, context: &mut Context<'_>) -> Option<R::Value> {
        let rule = self.as_ref()?;
        if context.unknown.contains(&field) {
            let has_value = !field.info().kind.has_value_without_data();
            let value = if has_value { rule.extract(field, context) } else { None };
            if value.is_none() {
                context.refused.insert(field);
            }
            return value;
        }
        let lacks_data = context.untold.contains(&field) && field.info().kind.has_value_without_data();
        if lacks_data || !rule.is_told(context.record) {
            return None;
        }
        let absent = context.absent.get(&field).map(|absent| absent.value);
        let value = rule.extract(field, context).or_else(|| R::when_absent(absent));
        if value.is_none() && absent == Some(Absent::Incomplete) {
            context.refused.insert(field);
            context.incomplete.insert(field);
        }
        value
    }
}

/// Whether a rule looks at what joins and details add to the record.
fn looks_at_parts(rule: &dyn Rule) -> bool {
    let mut texts = Vec::new();
    rule.add_expressions(&mut texts);
    texts.iter().any(|text| text.contains(JOINED) || text.contains(DETAILS))
}

/// A rule that may have no result.
trait Extract {
    type Value;
    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<Self::Value>;

    /// Whether the application reports the field for this kind of account (`known_when`).
    fn is_told(&self, _record: &Document) -> bool {
        true
    }

    /// The value if a complete record does not contain what the rule looks at (`absent`).
    fn when_absent(_absent: Option<Absent>) -> Option<Self::Value> {
        None
    }
}

impl Extract for Text {
    type Value = String;

    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<String> {
        let text = text(self, context.record)?;
        let longest = field.info().longest;
        match field {
            UserField::Email => address(&text, longest),
            _ => Some(tidy(&text, longest)).filter(|text| !text.is_empty()),
        }
    }
}

impl Extract for Flag {
    type Value = bool;

    fn extract(&self, _: UserField, context: &mut Context<'_>) -> Option<bool> {
        flag(self, context.record)
    }

    fn is_told(&self, record: &Document) -> bool {
        self.known_when.as_ref().is_none_or(|test| test.holds(record))
    }

    fn when_absent(absent: Option<Absent>) -> Option<bool> {
        (absent == Some(Absent::No)).then_some(false)
    }
}

impl Extract for OneOrMany<Labels> {
    type Value = Vec<String>;

    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<Vec<String>> {
        let longest = field.info().longest;
        let found = match field {
            UserField::Aliases => texts(&self.0, context.record, |text| further_address(text, longest)),
            _ => texts(&self.0, context.record, |text| Some(tidy(text, longest))),
        };
        Some(found).filter(|texts| !texts.is_empty())
    }

    /// If a record lists none, the user has none, unless the manifest says otherwise.
    fn when_absent(absent: Option<Absent>) -> Option<Vec<String>> {
        matches!(absent, None | Some(Absent::Empty)).then(Vec::new)
    }
}

impl Extract for Time {
    type Value = Timestamp;

    fn extract(&self, _: UserField, context: &mut Context<'_>) -> Option<Timestamp> {
        time(self, context.record).map(Timestamp)
    }

    fn is_told(&self, record: &Document) -> bool {
        self.known_when.as_ref().is_none_or(|test| test.holds(record))
    }

    fn when_absent(absent: Option<Absent>) -> Option<Timestamp> {
        (absent == Some(Absent::Never)).then_some(Timestamp::NEVER)
    }
}

impl<T: Copy> Extract for OneOrMany<Choice<T>> {
    type Value = T;

    fn extract(&self, field: UserField, context: &mut Context<'_>) -> Option<T> {
        let mut unknown = 0;
        let value = choice(&self.0, context.record, &mut unknown);
        if field == UserField::Status {
            *context.unknown_statuses += unknown;
        }
        value
    }
}
