use super::*;

fn counted(groups: &[(Option<&str>, UserStatus, Class, i64)]) -> Counted {
    let tally = license_tally::Model::none(Uuid::nil(), -1);
    let mut counted = Counted { tally, licenses: BTreeMap::new(), groups: BTreeMap::new(), requested: 0 };
    for (licenses, status, class, users) in groups {
        let group = Group {
            licenses: licenses.map(str::to_owned),
            status: *status,
            class: *class,
            standing: Standing::Stays,
            department: None,
            users: *users,
        };
        counted.add(Uuid::nil(), &group).unwrap();
    }
    counted
}

#[test]
fn every_holder_is_counted_once_for_each_licence() {
    let counted = counted(&[
        (Some(r#"["Full","Add-on","Full"]"#), UserStatus::Active, Class::Needed, 3),
        (Some(r#"["Full"]"#), UserStatus::Suspended, Class::Suspended, 2),
        (Some("[]"), UserStatus::Active, Class::Inactive, 5),
        (None, UserStatus::Active, Class::Inactive, 7),
    ]);
    assert_eq!((counted.tally.accounts, counted.tally.untold), (17, 7));
    let names: Vec<_> = counted.licenses.keys().collect();
    assert_eq!(names, ["Add-on", "Full"]);
    let full = &counted.licenses["Full"];
    assert_eq!((full.active, full.suspended, full.inactive, full.undecided), (3, 2, 0, 0));
}

#[test]
fn what_is_unknown_of_a_holder_is_in_no_reason() {
    let of = |status, class| counted(&[(Some(r#"["A"]"#), status, class, 1)]).licenses.remove("A").unwrap();
    for (status, class, never, inactive, never_unknown, inactive_unknown, undecided) in [
        (UserStatus::Active, Class::Needed, 0, 0, 0, 0, 0),
        (UserStatus::Unknown, Class::Needed, 0, 0, 0, 0, 1),
        (UserStatus::Active, Class::Never, 1, 0, 0, 0, 0),
        (UserStatus::Unknown, Class::Never, 1, 0, 0, 0, 0),
        (UserStatus::Active, Class::Inactive, 0, 1, 0, 0, 0),
        (UserStatus::Invited, Class::Silent, 0, 0, 1, 1, 1),
        (UserStatus::Active, Class::NeverOfUnknownAge, 0, 0, 1, 0, 1),
        (UserStatus::Unknown, Class::InactiveOfUnknownStatus, 0, 0, 0, 1, 1),
    ] {
        let count = of(status, class);
        let found = (count.never, count.inactive, count.never_unknown, count.inactive_unknown, count.undecided);
        assert_eq!(found, (never, inactive, never_unknown, inactive_unknown, undecided), "{status:?} {class:?}");
    }
}

#[test]
fn an_instance_with_too_many_licences_says_how_many_were_left_out() {
    let names: Vec<String> = (0..MOST_LICENSES + 3).map(|number| format!("{number:05}")).collect();
    let list = serde_json::to_string(&names).unwrap();
    let counted = counted(&[(Some(&list), UserStatus::Active, Class::Needed, 2)]);
    assert_eq!((counted.licenses.len(), counted.tally.left_out), (MOST_LICENSES, 6));
}
