//! The checks on what proves that a list is complete, and on what its records must have.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::Check;
use super::listing::NAMED_PART;
use super::mentions::{self, Affects};
use crate::manifest::expr::Path;
use crate::manifest::listing::{Absent, Listing, Order};
use crate::manifest::paging::Paging;
use crate::manifest::{Fault, Manifest};
use crate::user::{Kind, UserField};

impl Check<'_> {
    pub(super) fn proof(&mut self) {
        let users = &self.manifest.users;
        if let Some(count) = &users.count {
            self.path(&count.path.value, count.path.referenced);
        }
        if let Some(Spanned { value: Order::By(name), referenced: at, .. }) = &users.order {
            let in_query = users.query.contains_key(name);
            let in_body = users.json.as_ref().is_some_and(|json| json.value.has_member(name));
            if !in_query && !in_body {
                self.fault(*at, format!("“{name}” must be a parameter under query, or a member of json"));
            }
        }
        for (field, Spanned { value: absent, referenced: at, .. }) in &users.absent {
            let kind = field.info().kind;
            if !users.map.value.has(*field) {
                self.fault(*at, "absent names a column that map does not have; map it, or take it out");
            } else if !field.info().is_optional {
                self.fault(*at, format!("{field} needs no entry under absent: the last of its rules in map decides"));
            } else if *absent == Absent::No && kind != Kind::Flag {
                self.fault(*at, "`no` is for columns that are yes or no");
            } else if *absent == Absent::Empty && kind != Kind::Texts {
                self.fault(*at, "`empty` is for columns that are lists");
            } else if *absent == Absent::Never && *field != UserField::LastActiveAt {
                self.fault(*at, "`never` is for last_active_at: the user was never active");
            } else if *absent == Absent::Never && lacks_known_when(users) {
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
fn lacks_known_when(users: &Listing) -> bool {
    let Some(rule) = &users.map.value.last_active_at else { return false };
    let is_part = |path: &Path| NAMED_PART.iter().any(|part| part.is_match(&path.to_string()));
    rule.known_when.is_none() && rule.from.0.iter().any(is_part)
}

/// Recommendations. They are not faults, so that older manifests keep working.
pub(in crate::manifest) fn advice(manifest: &Manifest, file: &str) -> Vec<Fault> {
    let users = &manifest.users;
    let unprovided = unprovided(users).into_iter().map(|message| Fault::at(file, users.map.referenced, message));
    let mut advice: Vec<Fault> = unprovided.collect();
    let numbered = matches!(users.pages.value, Paging::Offset(_) | Paging::Page(_));
    if !numbered || users.order.is_some() {
        return advice;
    }
    let message = "say in which order the list comes: order: {by: PARAMETER}, order: default if the application \
                   documents one, or order: none. A list without an order shows some entries twice and others never";
    advice.push(Fault::at(file, users.pages.referenced, message));
    advice
}

/// Columns that use an optional part, but are not among those that it provides. If the part were refused, they would
/// become empty.
fn unprovided(users: &Listing) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (affects, text) in mentions::of(&users.map.value) {
        let Affects::Field(field) = affects else { continue };
        for part in NAMED_PART.iter().flat_map(|part| part.captures_iter(&text)) {
            let provides = match &part[1] {
                "joined" => users.joins.get(&part[2]).map(|join| &join.value.provides),
                _ => users.details.get(&part[2]).map(|detail| &detail.value.provides),
            };
            if provides.is_some_and(|provides| !provides.0.is_empty() && !provides.0.contains(&field)) {
                found.insert(format!("“{}” is used for {field}: add it to its provides", &part[2]));
            }
        }
    }
    found
}
