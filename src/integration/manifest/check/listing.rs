//! The checks on `users`.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::{Location, Spanned};

use super::Check;
use super::mentions::{self, Affects};
use crate::manifest::listing::{List, PageSize, named_parts};
use crate::manifest::paging::{Paging, Slot};
use crate::manifest::template::OneOrMany;
use crate::user::UserField;

/// More lists than any application needs.
const MAX_LISTS: usize = 20;

impl Check<'_> {
    pub(super) fn listing(&mut self) {
        let users = &self.manifest.users;
        for list in &users.lists {
            let (path, pages) = (&list.path, list.pages.referenced);
            self.path(&path.value, path.referenced);
            self.list(list.list(), pages, size_at(list.page_size.as_ref()).unwrap_or(pages));
            let Spanned { value: map, referenced: at, .. } = &list.map;
            if map.email.is_none() && map.display_name.is_none() {
                self.fault(*at, "map email or display_name, or nobody can tell who a user is");
            }
        }
        self.several_lists();
        for (field, permission) in &users.require_some {
            if !users.lists.iter().any(|list| !list.is_of_invitations() && list.map.value.has(*field))
                || !field.info().is_optional
            {
                self.fault(
                    permission.referenced,
                    "require_some names a column that map does not have; map it, or take it out",
                );
            }
        }
        for Spanned { value: join, referenced: at, .. } in users.joins.values() {
            self.path(&join.path.value, join.path.referenced);
            self.list(join.list(), *at, size_at(join.page_size.as_ref()).unwrap_or(*at));
            self.provided(&join.provides, *at);
        }
        for Spanned { value: detail, referenced: at, .. } in users.details.values() {
            if detail.provides.0.is_empty() {
                self.fault(*at, "say which columns it provides: these are unknown for a user without a response");
            }
            self.path(&detail.path.value, detail.path.referenced);
            self.provided(&detail.provides, *at);
        }
        self.named_parts();
    }

    /// Each list that may be left out needs a name, and those who are only invited come first.
    fn several_lists(&mut self) {
        let lists = &self.manifest.users.lists;
        let mut names = BTreeSet::new();
        let first_others = lists.iter().position(|list| !list.is_of_invitations()).unwrap_or(lists.len());
        for (number, list) in lists.iter().enumerate() {
            let Some(at) = list.at else { continue };
            if number == MAX_LISTS {
                self.fault(at, format!("more than {MAX_LISTS} lists are not read; ask for several at once"));
            }
            if list.is_of_invitations() && number > first_others {
                let why = "of somebody who is on several lists, the last one counts, and a member is no longer invited";
                self.fault(at, format!("write the list of those who are invited before the others: {why}"));
            }
            match &list.name {
                Some(name) if name.trim().is_empty() => self.fault(at, "name is empty; write one, or leave it out"),
                Some(name) if !names.insert(name) => {
                    self.fault(at, format!("there are two lists “{name}”; name one otherwise"));
                }
                None if list.permission.is_some() => {
                    self.fault(at, "with permission, a list needs a name, for the message that says what is lost");
                }
                _ => {}
            }
        }
        if let [.., list] = lists.as_slice()
            && let Some(at) = list.at
            && lists.iter().all(|list| list.permission.is_some())
        {
            self.fault(at, "one list at least must have no permission: without any list, nobody is listed");
        }
    }

    /// Joins and details that are used must exist, those that exist must be used, and an optional one
    /// must not affect anything besides the columns that it provides.
    fn named_parts(&mut self) {
        let users = &self.manifest.users;
        let Some(at) = users.lists.last().map(|list| list.map.referenced) else { return };
        let mut named: BTreeMap<(String, String), BTreeSet<Affects>> = BTreeMap::new();
        for list in &users.lists {
            let skips = list.skip_if.iter().map(|test| (Affects::Identity, test.to_string()));
            for (affects, text) in mentions::of(&list.map.value).into_iter().chain(skips) {
                for part in named_parts(&text) {
                    named.entry(part).or_default().insert(affects);
                }
            }
        }
        let asked = users.details.values().filter_map(|detail| detail.value.when.as_ref().map(ToString::to_string));
        for part in asked.flat_map(|text| named_parts(&text)) {
            named.entry(part).or_default();
        }
        let joins = users.joins.iter().map(|(name, join)| (("joined".to_owned(), name.clone()), &join.value.provides));
        let details =
            users.details.iter().map(|(name, detail)| (("details".to_owned(), name.clone()), &detail.value.provides));
        let there: BTreeMap<(String, String), &OneOrMany<UserField>> = joins.chain(details).collect();
        for ((kind, name), affects) in &named {
            if let Some(provides) = there.get(&(kind.clone(), name.clone())) {
                self.check_optional(kind == "details", name, &provides.0, affects, at);
            } else {
                let list = if kind == "joined" { "joins" } else { "details" };
                self.fault(at, format!("map asks for “{name}”, and there is none under {list}"));
            }
        }
        for (kind, name) in there.keys().filter(|part| !named.contains_key(*part)) {
            self.fault(at, format!("“{name}” is read and not used; write $._{kind}.{name}, present_in or absent_in"));
        }
    }

    /// Checks that an optional part affects no more than the columns that it provides.
    fn check_optional(
        &mut self,
        detail: bool,
        name: &str,
        provides: &[UserField],
        affects: &BTreeSet<Affects>,
        at: Location,
    ) {
        // Without columns to provide, the run fails if the part is refused, and changes nobody.
        let optional = !provides.is_empty();
        for one in affects {
            match one {
                Affects::Identity if detail => {
                    self.fault(at, format!("“{name}” is requested for users only, so it cannot decide who is a user"));
                }
                Affects::Identity if optional => {
                    let why = "if it were refused, everybody would change";
                    self.fault(at, format!("“{name}” decides more than columns, so it must have no provides: {why}"));
                }
                Affects::Field(field)
                    if optional && field.info().kind.has_value_without_data() && !provides.contains(field) =>
                {
                    self.fault(at, format!("“{name}” is used for {field}: add it to its provides"));
                }
                Affects::Identity | Affects::Field(_) => {}
            }
        }
    }

    fn list(&mut self, list: List<'_>, at: Location, size_at: Location) {
        let mut taken: BTreeSet<String> = BTreeSet::new();
        taken.extend(list.query.keys().cloned());
        let slot = match list.pages.slot() {
            Ok(slot) => slot,
            Err(message) => return self.fault(at, message),
        };
        let size = list.page_size.map(PageSize::slot);
        if size.as_ref().is_some_and(Option::is_none) {
            self.fault(size_at, "say where page_size goes: either param: name, or json: $.member");
        }
        for slot in [slot, size.flatten()].into_iter().flatten() {
            match slot {
                Slot::Param(name) if !taken.insert(name.to_owned()) => {
                    self.fault(
                        at,
                        format!("the parameter “{name}” is set twice, by query, page_size or pages; keep one"),
                    );
                }
                Slot::Json(path) if list.json.is_none() => {
                    self.fault(at, format!("“{path}” is a place in the body, and there is none; write json: {{}}"));
                }
                Slot::Param(_) | Slot::Json(_) => {}
            }
        }
        if let Some(size) = list.page_size
            && !(1..=10_000).contains(&size.count)
        {
            self.fault(size_at, "page_size.count must be from 1 to 10000");
        }
        if list.json.is_some() && matches!(list.pages, Paging::NextUrl(_) | Paging::LinkHeader(_)) {
            self.fault(
                at,
                "the address of a next page is asked for by GET; with a body, pages follow by cursor, page or offset",
            );
        }
        if let Some(then) = list.pages.then() {
            self.path(&then.path.value, then.path.referenced);
            if matches!(list.pages, Paging::Cursor(rule) if rule.json.is_none()) {
                self.fault(then.path.referenced, "with then, the cursor goes into the body: json: $.member");
            }
        }
    }

    fn provided(&mut self, fields: &OneOrMany<UserField>, at: Location) {
        for field in &fields.0 {
            if !self.manifest.users.maps(*field) {
                self.fault(at, "provides names a column that map does not have; map it, or take it out");
            }
        }
    }
}

fn size_at(size: Option<&Spanned<PageSize>>) -> Option<Location> {
    size.map(|size| size.referenced)
}
