//! Further lists, joined to the users by id.
//!
//! Each is read once, before the users, and kept in memory: an id and the parts that the
//! manifest keeps per record. One that the application refuses is lost, and the columns
//! that it provides are not known in this run.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::paginate::Walk;
use super::request::Requests;
use super::{HttpSource, Place};
use crate::manifest::expr::{Path, Subject};
use crate::manifest::listing::{Join, Listing};
use crate::source::{ErrorClass, Loss, SourceError};
use crate::user::UserField;

/// Where a record has its joined parts.
pub(super) const JOINED: &str = "_joined";
/// The most records of all lists that are joined.
const MOST_RECORDS: usize = 1_000_000;
/// The most that the kept parts of all lists may take together, in bytes of text.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// The lists that were read.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// By the name of the list, then by id: the kept parts.
    lists: BTreeMap<String, HashMap<String, Value>>,
    records: usize,
    kept: usize,
}

/// What was refused, and is not known in this run.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub fields: BTreeSet<UserField>,
    pub parts: Vec<Loss>,
}

impl Losses {
    /// Notes what a refusal of an optional call costs. Any other error is passed on, and so is
    /// the loss of a field that no application may leave out.
    pub fn note(&mut self, provides: &[UserField], permission: &str, error: SourceError) -> Result<(), SourceError> {
        if error.class != ErrorClass::Permission || provides.is_empty() {
            return Err(error);
        }
        let missing = error.missing_permissions.first().cloned().unwrap_or_else(|| permission.to_owned());
        let loss = |field: &UserField| {
            let capability = field.info().capability?;
            Some(Loss { capability, missing_permission: Some(missing.clone()) })
        };
        let Some(losses) = provides.iter().map(loss).collect::<Option<Vec<_>>>() else {
            return Err(SourceError { missing_permissions: vec![missing], ..error });
        };
        self.parts.extend(losses);
        self.fields.extend(provides);
        Ok(())
    }
}

impl Joined {
    /// Puts the parts of all lists into a user's record.
    pub fn join(&self, listing: &Listing, mut record: Subject) -> Subject {
        for (name, rows) in &self.lists {
            let Some(join) = listing.joins.get(name) else { continue };
            let found = join.value.on().text(&record).and_then(|id| rows.get(&id));
            if let Some(found) = found.cloned() {
                record.put(JOINED, name, found);
            }
        }
        record
    }
}

impl HttpSource {
    /// Reads one page of one list, and moves `walk` on; false after the last page, or if the
    /// application refuses the list for want of a permission. `only_ask`: for one record at most.
    pub(super) async fn join_page(
        &self,
        requests: &Requests,
        (name, join): (&str, &Join),
        walk: &mut Walk,
        (joined, losses): (&mut Joined, &mut Losses),
        only_ask: bool,
    ) -> Result<bool, SourceError> {
        let place = Place::Join { name, page: walk.pages + 1 };
        let list = join.list();
        let size = if only_ask { Some(1) } else { list.page_size.map(|size| size.count) };
        let page = match self.read(requests, &place, list, &walk.position, size, only_ask).await {
            Ok(page) => page,
            Err(error) => {
                losses.note(&join.provides.0, &join.permission, error)?;
                joined.lists.remove(name);
                return Ok(false);
            }
        };
        let rows = joined.lists.entry(name.to_owned()).or_default();
        let misfit = |clause: &str| place.misfit(clause, ErrorClass::Config, Some(page.http_status));
        let count = page.records.len() as u64;
        // Whole records, because an id may come several times.
        let mut seen = Vec::with_capacity(page.records.len());
        for record in page.records {
            seen.push(record.to_string());
            let record = Subject::new(record);
            let id = join.key.text(&record).ok_or_else(|| misfit("a record has no id"))?;
            let part = |(part, path): (&String, &Path)| Some((part.clone(), path.all(&record).next()?.clone()));
            let kept: Value = join.keep.iter().filter_map(part).collect::<Map<_, _>>().into();
            joined.records += 1;
            joined.kept += id.len() + if join.keep.is_empty() { 0 } else { kept.to_string().len() };
            rows.insert(id, kept);
        }
        if joined.records > MOST_RECORDS || joined.kept > MOST_KEPT {
            return Err(misfit("the list is too long to be joined"));
        }
        walk.advance(list.pages, &page.signs, count, seen.iter().map(String::as_str)).map_err(|clause| misfit(&clause))
    }
}
