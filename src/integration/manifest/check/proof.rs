//! The checks on what proves that a list is complete, and on what its records must have.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::Check;
use super::mentions::{self, Affects};
use crate::manifest::expr::Path;
use crate::manifest::listing::{Absent, Listing, Order, UserList, named_parts};
use crate::manifest::mapping::Mapping;
use crate::manifest::paging::Paging;
use crate::manifest::{Fault, Manifest};
use crate::user::{Kind, UserField};

impl Check<'_> {
    pub(super) fn proof(&mut self) {
        for list in &self.manifest.users.lists {
            if let Some(count) = &list.count {
                self.path(&count.path.value, count.path.referenced);
            }
            if let Some(Spanned { value: Order::By(name), referenced: at, .. }) = &list.order {
                let in_query = list.query.contains_key(name);
                let in_body = list.json.as_ref().is_some_and(|json| json.value.has_member(name));
                if !in_query && !in_body {
                    self.fault(*at, format!("“{name}” must be a parameter under query, or a member of json"));
                }
            }
            self.absent(list);
        }
    }

    fn absent(&mut self, list: &UserList) {
        for (field, Spanned { value: absent, referenced: at, .. }) in &list.absent {
            let kind = field.info().kind;
            if !self.manifest.users.maps(*field) {
                self.fault(*at, "absent names a column that map does not have; map it, or take it out");
            } else if !field.info().is_optional {
                self.fault(*at, format!("{field} needs no entry under absent: the last of its rules in map decides"));
            } else if *absent == Absent::No && kind != Kind::Flag {
                self.fault(*at, "`no` is for columns that are yes or no");
            } else if *absent == Absent::Empty && kind != Kind::Texts {
                self.fault(*at, "`empty` is for columns that are lists");
            } else if *absent == Absent::Never && *field != UserField::LastActiveAt {
                self.fault(*at, "`never` is for last_active_at: the user was never active");
            } else if *absent == Absent::Never && lacks_known_when(list) {
                self.fault(
                    *at,
                    "a user who is not in a join or has no details was not “never” active; write known_when: \
                     $[?@._joined.NAME] under last_active_at",
                );
            }
        }
    }
}

/// Whether the last activity comes from a join or a detail, and the manifest does not say who is in it.
fn lacks_known_when(list: &UserList) -> bool {
    let Some(rule) = &list.map.value.last_active_at else { return false };
    let is_part = |path: &Path| !named_parts(&path.to_string()).is_empty();
    rule.known_when.is_none() && rule.from.0.iter().any(is_part)
}

/// Recommendations. They are not faults, so that older manifests keep working.
pub(in crate::manifest) fn advice(manifest: &Manifest, file: &str) -> Vec<Fault> {
    let users = &manifest.users;
    let mut advice = Vec::new();
    for list in &users.lists {
        let unprovided = unprovided(users, &list.map.value);
        advice.extend(unprovided.into_iter().map(|message| Fault::at(file, list.map.referenced, message)));
        let numbered = matches!(list.pages.value, Paging::Offset(_) | Paging::Page(_));
        if numbered && list.order.is_none() {
            let message = "say in which order the list comes: order: {by: PARAMETER}, order: default if the \
                           application documents one, or order: none. A list without an order shows some entries \
                           twice and others never";
            advice.push(Fault::at(file, list.pages.referenced, message));
        }
    }
    advice.dedup();
    advice
}

/// Columns that use an optional part, but are not among those that it provides. If the part were refused, they would
/// become empty.
fn unprovided(users: &Listing, map: &Mapping) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (affects, text) in mentions::of(map) {
        let Affects::Field(field) = affects else { continue };
        for (kind, name) in named_parts(&text) {
            let provides = match kind.as_str() {
                "joined" => users.joins.get(&name).map(|join| &join.value.provides),
                _ => users.details.get(&name).map(|detail| &detail.value.provides),
            };
            if provides.is_some_and(|provides| !provides.0.is_empty() && !provides.0.contains(&field)) {
                found.insert(format!("“{name}” is used for {field}: add it to its provides"));
            }
        }
    }
    found
}
