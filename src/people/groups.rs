//! Which accounts of people sources are of one person: a pure function of what the sources say.
//!
//! An account joins one of an earlier source that has the same employee id, or else the same primary address in an owned
//! domain. Each must be the only one of its source. Employee ids that differ keep two accounts apart, whatever their
//! addresses are. An account joins one other at most, so that no account brings two people together.

use std::collections::BTreeMap;

/// An account of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The place of its source in the order of the sources.
    pub source: usize,
    pub employee_id: Option<String>,
    /// The primary address, if it is in an owned domain.
    pub address: Option<String>,
    /// Whether the source lists it, and has not suspended it.
    pub present: bool,
    /// Whether a member has decided whose it is, so that it joins nobody. Others may join it.
    pub pinned: bool,
}

type Index<'a> = BTreeMap<(usize, &'a str), Vec<usize>>;

/// The account that each one joins. `None` for those that are a person of their own.
pub fn parents(members: &[Member]) -> Vec<Option<usize>> {
    let index = |value: fn(&Member) -> Option<&String>| {
        let mut index = Index::new();
        for (place, member) in members.iter().enumerate() {
            if let Some(value) = value(member) {
                index.entry((member.source, value.as_str())).or_default().push(place);
            }
        }
        index
    };
    let (by_employee, by_address) = (index(|it| it.employee_id.as_ref()), index(|it| it.address.as_ref()));
    let join = |place: usize| {
        let own = &members[place];
        if own.pinned {
            return None;
        }
        (0..own.source).find_map(|source| {
            let same = |index: &Index, value: &Option<String>| {
                let value = value.as_deref()?;
                (only(members, index, own.source, value)? == place).then(|| only(members, index, source, value))?
            };
            same(&by_employee, &own.employee_id).or_else(|| {
                let other = same(&by_address, &own.address)?;
                let employees = (&own.employee_id, &members[other].employee_id);
                (!matches!(employees, (Some(one), Some(two)) if one != two)).then_some(other)
            })
        })
    };
    (0..members.len()).map(join).collect()
}

/// The only account of a source with a value. Those that are gone count if no other has it.
fn only(members: &[Member], index: &Index, source: usize, value: &str) -> Option<usize> {
    let all = index.get(&(source, value))?;
    let present: Vec<usize> = all.iter().copied().filter(|place| members[*place].present).collect();
    match (&present[..], &all[..]) {
        ([one], _) | ([], [one]) => Some(*one),
        _ => None,
    }
}

/// The account with which the person of each begins.
pub fn roots(members: &[Member]) -> Vec<usize> {
    let parents = parents(members);
    let root = |mut place: usize| {
        // A parent belongs to an earlier source, so that this ends.
        while let Some(parent) = parents[place] {
            place = parent;
        }
        place
    };
    (0..members.len()).map(root).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(source: usize, employee_id: &str, address: &str) -> Member {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Member { source, employee_id: text(employee_id), address: text(address), present: true, pinned: false }
    }

    fn gone(member: Member) -> Member {
        Member { present: false, ..member }
    }

    #[test]
    fn two_sources_join_by_employee_id_and_else_by_address() {
        for (members, expected) in [
            (vec![member(0, "7", "a"), member(1, "7", "b")], vec![0, 0]),
            (vec![member(0, "", "a"), member(1, "7", "a")], vec![0, 0]),
            (vec![member(0, "7", "a"), member(1, "", "a")], vec![0, 0]),
            // Another person has the address.
            (vec![member(0, "7", "a"), member(1, "8", "a")], vec![0, 1]),
            // The employee id comes first.
            (vec![member(0, "7", "a"), member(0, "8", "b"), member(1, "8", "a")], vec![0, 1, 1]),
            // Within one source, nobody joins anybody.
            (vec![member(0, "7", "a"), member(0, "7", "a")], vec![0, 1]),
            // Not the only one, on either side.
            (vec![member(0, "7", ""), member(0, "7", ""), member(1, "7", "")], vec![0, 1, 2]),
            (vec![member(0, "7", ""), member(1, "7", ""), member(1, "7", "")], vec![0, 1, 2]),
            (vec![member(0, "", "a"), member(1, "", "a"), member(1, "", "a")], vec![0, 1, 2]),
            // Three sources.
            (vec![member(0, "7", "a"), member(1, "", "a"), member(2, "7", "")], vec![0, 0, 0]),
            (vec![member(0, "", "a"), member(1, "9", "a"), member(2, "9", "")], vec![0, 0, 0]),
        ] {
            assert_eq!(roots(&members), expected, "{members:?}");
        }
    }

    #[test]
    fn those_who_are_gone_count_only_if_nobody_else_is_there() {
        let old = gone(member(0, "7", "a"));
        assert_eq!(roots(&[old.clone(), member(0, "7", "a"), member(1, "7", "")]), [0, 1, 1]);
        assert_eq!(roots(&[old.clone(), member(1, "7", "")]), [0, 0]);
        assert_eq!(roots(&[member(0, "", "a"), gone(member(1, "", "a")), member(1, "", "a")]), [0, 1, 0]);
        assert_eq!(roots(&[old.clone(), old, member(1, "7", "")]), [0, 1, 2]);
    }

    #[test]
    fn whoever_is_pinned_joins_nobody_and_may_be_joined() {
        let pinned = |member| Member { pinned: true, ..member };
        assert_eq!(roots(&[member(0, "7", ""), pinned(member(1, "7", "")), member(2, "7", "")]), [0, 1, 0]);
        assert_eq!(roots(&[pinned(member(0, "7", "")), member(1, "7", "")]), [0, 0]);
    }

    proptest! {
        #[test]
        fn the_order_of_the_accounts_does_not_matter_and_nobody_joins_within_a_source(
            all in prop::collection::vec((0..3_usize, "[12]?", "[ab]?", any::<bool>(), any::<bool>()), 0..8),
            turn in 0..8_usize,
        ) {
            let members: Vec<Member> = all
                .iter()
                .map(|(source, employee, address, present, pinned)| {
                    Member { present: *present, pinned: *pinned, ..member(*source, employee, address) }
                })
                .collect();
            let straight = roots(&members);
            let count = members.len();
            let moved = |place: usize| (place + turn) % count;
            let mut turned = members.clone();
            for (place, member) in members.iter().enumerate() {
                turned[moved(place)] = member.clone();
            }
            let found = roots(&turned);
            for place in 0..count {
                prop_assert_eq!(found[moved(place)], moved(straight[place]));
            }
            for (place, parent) in parents(&members).into_iter().enumerate() {
                let Some(parent) = parent else { continue };
                prop_assert!(members[parent].source < members[place].source);
                let siblings = parents(&members).into_iter().enumerate().filter(|(other, its)| {
                    *its == Some(parent) && members[*other].source == members[place].source
                });
                prop_assert!(siblings.count() <= 2, "one by employee id, and one by address");
            }
        }
    }
}
