//! A user's row, and what a sync changes in it. Nothing here reads or writes the database.

use std::io::{self, ErrorKind, Write};

use entity::user::{Model, UserStatus};
use integration::user::{self, SourceUser, Timestamp, UserField};
use uuid::Uuid;

use super::reconcile::Scope;

macro_rules! for_rows {
    ($( #[$doc:meta] $name:ident: $Variant:ident($Type:ty) { $($info:tt)* } rehearsal($($rehearsal:tt)*) )*) => {
        /// The row of a new user. [`update`] fills in the fields that the application provides.
        pub(super) fn new(user: &SourceUser, scope: &Scope) -> Model {
            Model {
                id: Uuid::now_v7(),
                instance_id: scope.instance_id,
                external_id: user.external_id.clone(),
                $($name: Default::default(),)*
                email_key: None,
                name_key: None,
                first_seen_at: scope.now,
                last_seen_at: scope.now,
                removed_at: None,
                generation: scope.number,
            }
        }

        /// Copies what differs from the user into the row, and returns the fields that differed. A
        /// field that the application did not provide keeps its value. Nothing is allocated for a
        /// user that did not change.
        pub(super) fn update(row: &mut Model, user: &SourceUser) -> Vec<UserField> {
            let SourceUser { external_id: _, refused: _, $($name),* } = user;
            let mut changed = Vec::new();
            $(if $name.copy_to(&mut row.$name) {
                changed.push(UserField::$Variant);
            })*
            if !changed.is_empty() {
                update_search_keys(row);
            }
            changed
        }
    };
}

integration::with_user_fields!(for_rows);

/// Sets the columns that are derived from others.
fn update_search_keys(row: &mut Model) {
    row.email_key = row.email.as_deref().map(str::to_lowercase);
    row.name_key = row.display_name.as_deref().map(str::to_lowercase);
}

/// The API names of the fields whose changes are recorded, separated by commas.
pub(super) fn recorded(changed: &[UserField]) -> String {
    let recorded = changed.iter().map(|field| field.info()).filter(|field| field.recorded);
    recorded.map(|field| field.api_name).collect::<Vec<_>>().join(",")
}

/// A field of a user, for a column of type `C`.
trait Provided<C> {
    /// Copies the value if the column has another one. Returns whether it did.
    fn copy_to(&self, column: &mut C) -> bool;
}

impl<T, V: Stored<T>> Provided<Option<T>> for Option<V> {
    fn copy_to(&self, column: &mut Option<T>) -> bool {
        let Some(value) = self else { return false };
        let differs = !column.as_ref().is_some_and(|stored| value.is_stored_as(stored));
        if differs {
            *column = Some(value.to_stored());
        }
        differs
    }
}

impl Provided<UserStatus> for user::UserStatus {
    fn copy_to(&self, column: &mut UserStatus) -> bool {
        let status = match self {
            Self::Active => UserStatus::Active,
            Self::Suspended => UserStatus::Suspended,
            Self::Invited => UserStatus::Invited,
            Self::Unknown => UserStatus::Unknown,
        };
        std::mem::replace(column, status) != status
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
        serde_json::Value::from(self.as_slice()).to_string()
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

    use super::{Model, Scope, SourceUser, Timestamp, UserField, Uuid, new, recorded, update};

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
        let scope = Scope { instance_id: Uuid::nil(), run_id: Uuid::nil(), number: 1, now: 1 };
        let mut row = Model { id: Uuid::nil(), ..new(user, &scope) };
        update(&mut row, user);
        row
    }

    /// What an update with the changed user returns, and the row after it.
    fn updated(change: impl FnOnce(&mut SourceUser)) -> (Vec<UserField>, Model) {
        let mut user = user();
        let mut row = row_of(&user);
        change(&mut user);
        (update(&mut row, &user), row)
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
            (row.email.as_deref(), row.email_key.as_deref()),
            (Some("ANN@acme.example"), Some("ann@acme.example"))
        );
        let (fields, row) = updated(|user| user.display_name = Some("Ann B".into()));
        assert_eq!(fields, [UserField::DisplayName]);
        assert_eq!((row.display_name.as_deref(), row.name_key.as_deref()), (Some("Ann B"), Some("ann b")));
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
    fn several_fields_are_returned_together() {
        let (fields, _) = updated(|user| {
            user.last_active_at = Some(Timestamp(2));
            user.email = Some("b@acme.example".into());
            user.is_admin = Some(true);
        });
        assert_eq!(recorded(&fields), "email,isAdmin");
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

    #[test]
    fn a_field_that_is_not_provided_keeps_its_value() {
        let (fields, row) = updated(|user| {
            *user = SourceUser {
                external_id: user.external_id.clone(),
                email: None,
                display_name: None,
                status: user.status,
                is_admin: None,
                mfa_enabled: None,
                licenses: None,
                last_active_at: None,
                refused: BTreeSet::new(),
            };
        });
        assert_eq!((fields, row), (vec![], row_of(&user())));
    }
}
