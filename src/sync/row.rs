//! A user's row, and what a sync changes in it. Nothing here reads or writes the database.

use std::collections::BTreeMap;

use entity::user::Model;
use integration::user::{FieldInfo, SourceUser, UserField};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::reconcile::Scope;
use super::stored::Provided;
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
        /// that keeps its last time. Nothing is allocated for a user that did not change.
        pub(super) fn update(row: &mut Model, user: &SourceUser, old_values: &mut OldValues) {
            let SourceUser { external_id: _, refused, $($name),* } = user;
            let mut is_changed = false;
            $({
                let field = UserField::$Variant;
                let is_kept = refused.contains(&field) || (field.info().keeps_last && $name.is_outlived_by(&row.$name));
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

/// What a user was before it changed. Empty if nothing changed.
#[derive(Debug, Default)]
pub(super) struct OldValues {
    fields: BTreeMap<UserField, Value>,
    /// When the user had been removed, if it had been.
    pub removed_at: Option<i64>,
}

/// The name of the column, among those of the fields.
const REMOVED_AT: &str = "removed_at";

/// The old values of a user that is removed, as JSON.
pub(super) const OF_REMOVED: &str = r#"{"removed_at":null}"#;

impl OldValues {
    /// What a user with this row was before anything of it changes.
    pub(super) fn before(row: &Model) -> Self {
        Self { fields: BTreeMap::new(), removed_at: row.removed_at }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Keeps the first value of a field.
    fn insert(&mut self, field: UserField, value: Value) {
        self.fields.entry(field).or_insert(value);
    }

    /// Adds later values. A field that has a value already keeps it.
    pub(super) fn add(&mut self, later: OldValues) {
        for (field, value) in later.fields {
            self.insert(field, value);
        }
    }

    /// Drops the fields that are as they were.
    pub(super) fn drop_unchanged(&mut self, row: &Model) {
        self.fields.retain(|field, value| stored_value(row, *field) != *value);
    }

    /// The words of the user before the name or the address changed; `None` if neither did.
    pub(super) fn words(&self, row: &Model) -> Option<Words> {
        let before = |field, now: &Option<String>| match self.fields.get(&field) {
            Some(value) => value.as_str().map(str::to_owned),
            None => now.clone(),
        };
        let is_changed = [UserField::Email, UserField::DisplayName].iter().any(|field| self.fields.contains_key(field));
        is_changed.then(|| {
            let email = before(UserField::Email, &row.email);
            Words::of(email.as_deref(), before(UserField::DisplayName, &row.display_name).as_deref())
        })
    }

    fn of_recorded_fields(&self) -> impl Iterator<Item = (&'static FieldInfo, &Value)> {
        self.fields.iter().map(|(field, value)| (field.info(), value)).filter(|(field, _)| field.recorded)
    }

    pub(super) fn has_recorded(&self) -> bool {
        self.of_recorded_fields().next().is_some()
    }

    /// The API names of the fields whose changes are recorded, separated by commas.
    pub(super) fn recorded(&self) -> String {
        self.of_recorded_fields().map(|(field, _)| field.api_name).collect::<Vec<_>>().join(",")
    }

    /// The values of the fields whose changes are recorded, and of the removal, by column.
    pub(super) fn to_json(&self) -> String {
        let values = self.of_recorded_fields().map(|(field, value)| (field.name.to_owned(), value.clone()));
        let removed = self.removed_at.map(|at| (REMOVED_AT.to_owned(), json!(at)));
        Value::from(values.chain(removed).collect::<Map<_, _>>()).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) has written, or an empty text.
    pub(super) fn from_json(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut values: Map<String, Value> = serde_json::from_str(text)?;
        let removed_at = values.get(REMOVED_AT).and_then(Value::as_i64);
        let fields = UserField::ALL.iter().filter_map(|field| Some((*field, values.remove(field.info().name)?)));
        Ok(Self { fields: fields.collect(), removed_at })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use integration::user::{AccountKind, Timestamp, UserStatus};

    use super::{Model, OldValues, Scope, SourceUser, UserField, Uuid, json, new, update};

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
            kind: Some(AccountKind::Human),
            guest: Some(false),
            created_at: Some(Timestamp(1)),
            aliases: Some(vec!["a@acme.example".into()]),
            source_id: Some("s-7".into()),
            employee_id: Some("7".into()),
            department: Some("Sales".into()),
            manager: Some("8".into()),
            refused: BTreeSet::new(),
        }
    }

    fn row_of(user: &SourceUser) -> Model {
        let scope = Scope { instance_id: Uuid::nil(), run_id: Uuid::nil(), number: 1, now: 1, new_baseline: false };
        Model { id: Uuid::nil(), ..new(user, &scope) }
    }

    /// The fields that an update with the changed user changes, and the row after it.
    fn updated(change: impl FnOnce(&mut SourceUser)) -> (Vec<UserField>, Model) {
        let (OldValues { fields, .. }, row) = old_and_new(change);
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
        let (fields, row) = updated(|user| user.kind = Some(AccountKind::Service));
        assert_eq!((fields, row.kind), (vec![UserField::Kind], Some(entity::user::AccountKind::Service)));
        let (fields, row) = updated(|user| user.aliases = Some(Vec::new()));
        assert_eq!((fields, row.aliases.as_deref()), (vec![UserField::Aliases], Some("[]")));
        let (fields, row) = updated(|user| user.department = Some("Support".into()));
        assert_eq!((fields, row.department.as_deref()), (vec![UserField::Department], Some("Support")));
    }

    #[test]
    fn a_known_time_outlives_never_and_never_outlives_nothing() {
        let never = Some(Timestamp::NEVER);
        for (told, stored) in [
            (&[Some(Timestamp(5)), None][..], Some(5)),
            (&[Some(Timestamp(5)), never], Some(5)),
            (&[Some(Timestamp(5)), never, Some(Timestamp(4))], Some(4)),
            (&[None, never], Some(0)),
            (&[never, None], None),
            (&[never, Some(Timestamp(5))], Some(5)),
        ] {
            let of = |at: &Option<Timestamp>| SourceUser { last_active_at: *at, ..user() };
            let mut row = row_of(&of(&told[0]));
            for at in &told[1..] {
                update(&mut row, &of(at), &mut OldValues::default());
            }
            assert_eq!(row.last_active_at, stored, "{told:?}");
        }
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
            kind: None,
            guest: None,
            created_at: None,
            aliases: None,
            source_id: None,
            employee_id: None,
            department: None,
            manager: None,
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
