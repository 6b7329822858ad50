//! From the list of a page to the records of its users.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::body::{BodyError, MAX_ID};
use super::join::JoinedLists;
use super::proof::hash;
use super::rules::{text, tidy};
use crate::manifest::expr::Document;
use crate::manifest::listing::Listing;
use crate::user::UserField;

/// One user as the application describes them: the entry of the list, and what joins and
/// details add to it. `map` turns it into a [`SourceUser`](crate::user::SourceUser).
#[derive(Debug)]
pub(super) struct Record {
    pub id: String,
    pub document: Document,
    /// Fields whose source was refused in this run, so the document may lack their values.
    pub unknown: BTreeSet<UserField>,
    /// Fields whose source is not requested for this user (`when`), so the document says nothing about them.
    pub untold: BTreeSet<UserField>,
}

/// The records of a page.
#[derive(Debug, Default)]
pub(super) struct PageRecords {
    /// The users' records, each id once.
    pub users: Vec<Record>,
    /// The number of entries with different ids, including those that are no users.
    pub entries: u64,
    /// The number of entries that repeat an id of the same page.
    pub duplicates: u64,
    /// The hashes of the different ids, including those of entries that are no users.
    pub ids: Vec<u64>,
    /// The number of entries without an id, which are no users.
    pub nameless: u64,
}

/// Adds the joined lists to the entries of a page, and separates users from other entries. `number` is that of the list
/// among those of users, from 0.
pub(super) fn read_records(
    listing: &Listing,
    number: usize,
    joined: &JoinedLists,
    unknown: &BTreeSet<UserField>,
    entries: Vec<Value>,
) -> Result<PageRecords, BodyError> {
    let list = &listing.lists[number];
    let mut page = PageRecords { users: Vec::with_capacity(entries.len()), ..PageRecords::default() };
    let mut seen = HashSet::with_capacity(entries.len());
    for (number, entry) in (1..).zip(entries) {
        if !entry.is_object() {
            return Err(BodyError::NotAnObject(number));
        }
        let document = joined.add_to(listing, Document::new(entry));
        let map = &list.map.value;
        let id = text(&map.external_id, &document).map(|id| tidy(&id, usize::MAX)).filter(|id| !id.is_empty());
        if id.as_ref().is_some_and(|id| !seen.insert(id.clone())) {
            page.duplicates += 1;
            continue;
        }
        page.entries += 1;
        match id.as_ref().and_then(|id| hash([id.as_str()].into_iter())) {
            Some(id) => page.ids.push(id),
            None => page.nameless += 1,
        }
        if list.skip_if.iter().any(|test| test.holds(&document)) {
            continue;
        }
        let id = id.ok_or(BodyError::NoId(number))?;
        if id.len() > MAX_ID {
            return Err(BodyError::LongId(number));
        }
        page.users.push(Record { id, document, unknown: unknown.clone(), untold: BTreeSet::new() });
    }
    Ok(page)
}
