//! A user's row, and what a sync changes in it. Nothing here reads or writes the database.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};

use entity::user::{Model, UserStatus};
use integration::user::{self, FieldInfo, FieldType, SourceUser, Timestamp, UserField};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::reconcile::Scope;
use crate::directory::keys;
use crate::directory::words::Words;
use crate::error::Result;

macro_rules! for_rows {
    ($( #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*) )*) => {
        /// The row of a new user. A field that was refused has no value yet.
        pub(super) fn new(user: &SourceUser, scope: &Scope) -> Model {
            let mut row = Model {
                id: Uuid::now_v7(),
                instance_id: scope.instance_id,
                external_id: user.external_id.clone(),
                $($name: Default::default(),)*
                match_key: None,
                key_version: keys::VERSION,
                first_seen_at: scope.now,
                last_seen_at: scope.now,
                removed_at: None,
                generation: scope.number,
            };
            update(&mut row, user, &mut OldValues::default());
            row
        }

        /// Copies what differs from the user into the row, and adds what was there before to
        /// `old_values`. A field without a value is cleared, except for one that was refused and one
        /// that keeps its last value. Nothing is allocated for a user that did not change.
        pub(super) fn update(row: &mut Model, user: &SourceUser, old_values: &mut OldValues) {
            let SourceUser { external_id: _, refused, $($name),* } = user;
            let mut is_changed = false;
            $({
                let field = UserField::$Variant;
                let is_kept = refused.contains(&field) || (field.info().keeps_last && $name.value().is_none());
                if !is_kept && !$name.is_in(&row.$name) {
                    old_values.insert(field, json!(row.$name));
                    row.$name = $name.to_column();
                    is_changed = true;
                }
            })*
            if is_changed {
                keys::fill(row);
            }
        }

        fn stored_value(row: &Model, field: UserField) -> Value {
            match field {
                $(UserField::$Variant => json!(row.$name),)*
            }
        }
    };
}

integration::with_user_fields!(for_rows);

/// What the fields of a user were before they changed. Empty if nothing changed.
#[derive(Debug, Default)]
pub(super) struct OldValues(BTreeMap<UserField, Value>);

impl OldValues {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the first value of a field.
    fn insert(&mut self, field: UserField, value: Value) {
        self.0.entry(field).or_insert(value);
    }

    /// Adds later values. A field that has a value already keeps it.
    pub(super) fn add(&mut self, later: OldValues) {
        for (field, value) in later.0 {
            self.insert(field, value);
        }
    }

    /// Drops the fields that are as they were.
    pub(super) fn drop_unchanged(&mut self, row: &Model) {
        self.0.retain(|field, value| stored_value(row, *field) != *value);
    }

    /// The words of the user before the name or the address changed; `None` if neither did.
    pub(super) fn words(&self, row: &Model) -> Option<Words> {
        let before = |field, now: &Option<String>| match self.0.get(&field) {
            Some(value) => value.as_str().map(str::to_owned),
            None => now.clone(),
        };
        let is_changed = [UserField::Email, UserField::DisplayName].iter().any(|field| self.0.contains_key(field));
        is_changed.then(|| {
            let email = before(UserField::Email, &row.email);
            Words::of(email.as_deref(), before(UserField::DisplayName, &row.display_name).as_deref())
        })
    }

    fn of_recorded_fields(&self) -> impl Iterator<Item = (&'static FieldInfo, &Value)> {
        self.0.iter().map(|(field, value)| (field.info(), value)).filter(|(field, _)| field.recorded)
    }

    /// The API names of the fields whose changes are recorded, separated by commas.
    pub(super) fn recorded(&self) -> String {
        self.of_recorded_fields().map(|(field, _)| field.api_name).collect::<Vec<_>>().join(",")
    }

    /// The values of the fields whose changes are recorded, by column.
    pub(super) fn to_json(&self) -> String {
        let values = self.of_recorded_fields().map(|(field, value)| (field.name.to_owned(), value.clone()));
        Value::from(values.collect::<Map<_, _>>()).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) has written, or an empty text.
    pub(super) fn from_json(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut values: Map<String, Value> = serde_json::from_str(text)?;
        let fields = UserField::ALL.iter().filter_map(|field| Some((*field, values.remove(field.info().name)?)));
        Ok(Self(fields.collect()))
    }
}

/// A field of a user, for a column of type `C`.
trait Provided<C> {
    /// Compares without an allocation.
    fn is_in(&self, column: &C) -> bool;
    fn to_column(&self) -> C;
}

impl<T, V: Stored<T>> Provided<Option<T>> for Option<V> {
    fn is_in(&self, column: &Option<T>) -> bool {
        match (self, column) {
            (Some(value), Some(stored)) => value.is_stored_as(stored),
            (None, None) => true,
            _ => false,
        }
    }

    fn to_column(&self) -> Option<T> {
        self.as_ref().map(Stored::to_stored)
    }
}

impl Provided<UserStatus> for user::UserStatus {
    fn is_in(&self, column: &UserStatus) -> bool {
        self.to_column() == *column
    }

    fn to_column(&self) -> UserStatus {
        match self {
            Self::Active => UserStatus::Active,
            Self::Suspended => UserStatus::Suspended,
            Self::Invited => UserStatus::Invited,
            Self::Unknown => UserStatus::Unknown,
        }
    }
}

/// A value that a column of type `Option<T>` stores.
trait Stored<T> {
    /// Compares without an allocation.
    fn is_stored_as(&self, stored: &T) -> bool;
    fn to_stored(&self) -> T;
}

/// Most values are stored as they are.
impl<T: Clone + PartialEq> Stored<T> for T {
    fn is_stored_as(&self, stored: &T) -> bool {
        self == stored
    }

    fn to_stored(&self) -> T {
        self.clone()
    }
}

impl Stored<i64> for Timestamp {
    fn is_stored_as(&self, stored: &i64) -> bool {
        self.0 == *stored
    }

    fn to_stored(&self) -> i64 {
        self.0
    }
}

/// A list is stored as a JSON array.
impl Stored<String> for Vec<String> {
    fn is_stored_as(&self, stored: &String) -> bool {
        let mut rest = Expected(stored.as_bytes());
        serde_json::to_writer(&mut rest, self).is_ok() && rest.0.is_empty()
    }

    fn to_stored(&self) -> String {
        Value::from(self.as_slice()).to_string()
    }
}

/// The bytes that are still to be written. Other bytes are an error.
struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use integration::user::UserStatus;

    use super::{Model, OldValues, Scope, SourceUser, Timestamp, UserField, Uuid, json, new, update};

    fn user() -> SourceUser {
        SourceUser {
            external_id: "7".into(),
            email: Some("Ann@acme.example".into()),
            display_name: Some("Ann".into()),
            status: UserStatus::Active,
            is_admin: Some(false),
            mfa_enabled: Some(true),
            licenses: Some(vec!["Full \"seat\"".into(), "Add-on".into()]),
            last_active_at: Some(Timestamp(1)),
            refused: BTreeSet::new(),
        }
    }

    fn row_of(user: &SourceUser) -> Model {
        let scope = Scope { instance_id: Uuid::nil(), run_id: Uuid::nil(), number: 1, now: 1, new_baseline: false };
        Model { id: Uuid::nil(), ..new(user, &scope) }
    }

    /// The fields that an update with the changed user changes, and the row after it.
    fn updated(change: impl FnOnce(&mut SourceUser)) -> (Vec<UserField>, Model) {
        let (OldValues(fields), row) = old_and_new(change);
        (fields.into_keys().collect(), row)
    }

    fn old_and_new(change: impl FnOnce(&mut SourceUser)) -> (OldValues, Model) {
        let (mut user, mut old_values) = (user(), OldValues::default());
        let mut row = row_of(&user);
        change(&mut user);
        update(&mut row, &user, &mut old_values);
        (old_values, row)
    }

    #[test]
    fn a_user_that_is_the_same_changes_nothing() {
        assert_eq!(updated(|_| {}), (vec![], row_of(&user())));
    }

    #[test]
    fn each_field_that_differs_is_returned_and_stored() {
        let (fields, row) = updated(|user| user.email = Some("ANN@acme.example".into()));
        assert_eq!(fields, [UserField::Email]);
        assert_eq!(
            (row.email.as_deref(), row.match_key.as_deref()),
            (Some("ANN@acme.example"), Some("ann@acme.example"))
        );
        let (fields, row) = updated(|user| user.display_name = Some("Ann B".into()));
        assert_eq!(fields, [UserField::DisplayName]);
        assert_eq!(row.display_name.as_deref(), Some("Ann B"));
        let (fields, row) = updated(|user| user.status = UserStatus::Suspended);
        assert_eq!((fields, row.status), (vec![UserField::Status], entity::user::UserStatus::Suspended));
        let (fields, row) = updated(|user| user.is_admin = Some(true));
        assert_eq!((fields, row.is_admin), (vec![UserField::IsAdmin], Some(true)));
        let (fields, row) = updated(|user| user.mfa_enabled = Some(false));
        assert_eq!((fields, row.mfa_enabled), (vec![UserField::MfaEnabled], Some(false)));
        let (fields, row) = updated(|user| user.last_active_at = Some(Timestamp(2)));
        assert_eq!((fields, row.last_active_at), (vec![UserField::LastActiveAt], Some(2)));
    }

    #[test]
    fn the_old_values_of_several_fields_are_recorded_together() {
        let (old_values, _) = old_and_new(|user| {
            user.last_active_at = Some(Timestamp(2));
            user.email = None;
            user.is_admin = Some(true);
        });
        assert_eq!(old_values.recorded(), "email,isAdmin");
        let json = json!({ "email": "Ann@acme.example", "is_admin": false }).to_string();
        assert_eq!(old_values.to_json(), json);
        assert_eq!(OldValues::from_json(&json).unwrap().to_json(), json);
        assert!(OldValues::from_json("").unwrap().is_empty());
    }

    #[test]
    fn what_is_as_before_in_the_end_has_not_changed() {
        let (mut old_values, mut row) = old_and_new(|user| {
            user.email = Some("b@acme.example".into());
            user.is_admin = Some(true);
        });
        let user = SourceUser { is_admin: Some(true), ..user() };
        update(&mut row, &user, &mut old_values);
        old_values.drop_unchanged(&row);
        assert_eq!(old_values.recorded(), "isAdmin");
    }

    #[test]
    fn a_list_differs_by_its_entries_and_their_order() {
        let same = ["Full \"seat\"", "Add-on"];
        let lists: [&[&str]; 6] =
            [&[], &same[..1], &["Add-on", same[0]], &[same[0], "Add-on", ""], &["Full"], &["\u{1}"]];
        for list in lists {
            let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
            let (fields, row) = updated(|user| user.licenses = Some(list.clone()));
            assert_eq!(fields, [UserField::Licenses], "{list:?}");
            assert_eq!(serde_json::from_str::<Vec<String>>(row.licenses.as_deref().unwrap()).unwrap(), list);
        }
    }

    /// The user as it is if the application reports nothing but the status.
    fn empty(user: &SourceUser, refused: BTreeSet<UserField>) -> SourceUser {
        SourceUser {
            external_id: user.external_id.clone(),
            email: None,
            display_name: None,
            status: UserStatus::Unknown,
            is_admin: None,
            mfa_enabled: None,
            licenses: None,
            last_active_at: None,
            refused,
        }
    }

    #[test]
    fn a_field_that_is_told_as_nothing_is_cleared_except_the_last_activity() {
        let (fields, row) = updated(|user| *user = empty(user, BTreeSet::new()));
        let cleared: Vec<_> =
            UserField::ALL.iter().copied().filter(|field| *field != UserField::LastActiveAt).collect();
        assert_eq!(fields, cleared);
        assert_eq!((row.email, row.match_key, row.display_name), (None, None, None));
        assert_eq!((row.is_admin, row.mfa_enabled, row.licenses, row.last_active_at), (None, None, None, Some(1)));
        assert_eq!(row.status, entity::user::UserStatus::Unknown);
    }

    #[test]
    fn a_field_that_was_refused_keeps_its_value() {
        let (fields, row) = updated(|user| *user = empty(user, UserField::ALL.iter().copied().collect()));
        assert_eq!((fields, row), (vec![], row_of(&user())));
        let (fields, row) = updated(|user| *user = empty(user, BTreeSet::from([UserField::IsAdmin])));
        assert!(!fields.contains(&UserField::IsAdmin) && row.is_admin == Some(false) && row.mfa_enabled.is_none());
    }

    #[test]
    fn a_new_user_has_what_was_told_also_of_a_refused_part() {
        let row = row_of(&empty(&user(), UserField::ALL.iter().copied().collect()));
        assert_eq!((row.status, row.is_admin), (entity::user::UserStatus::Unknown, None));
    }
}
