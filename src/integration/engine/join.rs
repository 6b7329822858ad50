//! Further lists, joined to the users by id.
//!
//! Each list is read once, before the users. Of every entry, its ids and the parts that the
//! manifest keeps stay in memory. If the application refuses a list, or it cannot be read, the
//! columns that it provides are unknown in this run.
//!
//! A user gets all entries with one of the user's ids. The record contains the first one; paths and tests also
//! evaluate the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};

use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::list::{ListPage, Reader, has_expired, is_past_end};
use super::losses::Losses;
use super::progress::{ListProgress, Next};
use super::purpose::Purpose;
use crate::manifest::expr::{Document, JOINED, Path, scalar};
use crate::manifest::listing::{Join, Listing};
use crate::source::SourceError;

/// The most entries of all joined lists together.
const MAX_ENTRIES: usize = 1_000_000;
/// The size limit for the kept parts of all lists together, in bytes of text.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;
/// The most different entries of one id.
const MAX_ROWS: usize = 250;

/// The lists that were read.
#[derive(Debug, Default)]
pub(super) struct JoinedLists {
    /// The kept parts of the entries, by the name of the list, then by id.
    lists: BTreeMap<String, HashMap<String, Vec<Value>>>,
    size: Size,
}

/// How much memory the lists take.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    entries: usize,
    kept_bytes: usize,
}

impl JoinedLists {
    /// Adds what the lists say about a user to the user's record.
    pub fn add_to(&self, listing: &Listing, mut record: Document) -> Document {
        for (name, entries) in &self.lists {
            let Some(join) = listing.joins.get(name) else { continue };
            let mut seen = BTreeSet::new();
            let ids = join.value.on().all(&record).filter_map(scalar).filter(|id| seen.insert(id.clone()));
            let found: Vec<Value> = ids.filter_map(|id| entries.get(&id)).flatten().cloned().collect();
            record.put_all(JOINED, name, found);
        }
        record
    }

    /// Adds an entry of a list. Fails with a clause for a person.
    fn insert(&mut self, name: &str, join: &Join, entry: Value) -> Result<(), &'static str> {
        let entry = Document::new(entry);
        let ids: BTreeSet<String> = join.key.all(&entry).filter_map(scalar).collect();
        if ids.is_empty() && !join.key.may_find_several() {
            return Err("a record has no id");
        }
        let part = |(part, path): (&String, &Path)| Some((part.clone(), path.all(&entry).next()?.clone()));
        let kept: Value = join.keep.iter().filter_map(part).collect::<Map<_, _>>().into();
        let kept_bytes = if join.keep.is_empty() { 0 } else { kept.to_string().len() };
        let list = self.lists.entry(name.to_owned()).or_default();
        for id in ids {
            self.size.entries += 1;
            self.size.kept_bytes += id.len();
            let rows = list.entry(id).or_default();
            if !rows.contains(&kept) {
                self.size.kept_bytes += kept_bytes;
                rows.push(kept.clone());
            }
            if rows.len() > MAX_ROWS {
                return Err("too many different records have the same id");
            }
        }
        let too_long = self.size.entries > MAX_ENTRIES || self.size.kept_bytes > MAX_KEPT_BYTES;
        if too_long { Err("the list is too long to be joined") } else { Ok(()) }
    }

    /// Forgets a list. `size` is the size of the lists before it.
    fn remove(&mut self, name: &str, size: Size) {
        self.lists.remove(name);
        self.size = size;
    }
}

/// Reads the joined lists, one after another.
pub(super) struct JoinReading<'a> {
    remaining: btree_map::Iter<'a, String, Spanned<Join>>,
    /// The list that is being read.
    current: Option<(&'a str, &'a Join)>,
    progress: ListProgress,
    /// Whether the current list was begun again.
    restarted: bool,
    lists: JoinedLists,
    /// The size of the lists before the current one.
    size_before: Size,
}

impl<'a> JoinReading<'a> {
    pub fn new(listing: &'a Listing) -> Self {
        let mut reading = Self {
            remaining: listing.joins.iter(),
            current: None,
            progress: ListProgress::start(),
            restarted: false,
            lists: JoinedLists::default(),
            size_before: Size::default(),
        };
        reading.next_list();
        reading
    }

    fn next_list(&mut self) {
        self.current = self.remaining.next().map(|(name, join)| (name.as_str(), &join.value));
        self.progress = ListProgress::start();
        self.restarted = false;
        self.size_before = self.lists.size;
    }

    /// Reads pages until one is followed by another page of its list, or the last list ends.
    pub async fn read(&mut self, reader: Reader<'_>, losses: &mut Losses) -> Result<Next, SourceError> {
        while let Some((name, join)) = self.current {
            let size = join.page_size.as_ref().map(|size| size.value.count);
            if self.read_page(reader, name, join, size, losses).await? == Next::Page {
                return Ok(Next::Page);
            }
            self.next_list();
        }
        Ok(Next::End)
    }

    /// Reads the first page of each list, with one record.
    pub async fn probe(mut self, reader: Reader<'_>, losses: &mut Losses) -> Result<(), SourceError> {
        while let Some((name, join)) = self.current {
            self.read_page(reader, name, join, Some(1), losses).await?;
            self.next_list();
        }
        Ok(())
    }

    /// The lists, once all of them have been read.
    pub fn take_lists(&mut self) -> JoinedLists {
        std::mem::take(&mut self.lists)
    }

    /// Reads one page. A list that is refused or broken ends, and is noted in `losses`. A list whose
    /// position the application does not know any more is read from its beginning, once.
    async fn read_page(
        &mut self,
        reader: Reader<'_>,
        name: &str,
        join: &Join,
        size: Option<u32>,
        losses: &mut Losses,
    ) -> Result<Next, SourceError> {
        let purpose = Purpose::Join { name, page: self.progress.pages + 1 };
        let list = join.list();
        let read = match reader.page(purpose, list, &mut self.progress, size).await {
            Ok(page) => self.add_page(purpose, name, join, size, page),
            Err(error) => Err(error),
        };
        let error = match read {
            Ok(next) => return Ok(next),
            Err(error) if is_past_end(&error, &self.progress) => return Ok(Next::End),
            Err(error) => error,
        };
        if !self.restarted && has_expired(&error, &self.progress.position) {
            tracing::warn!(list = name, "The application no longer knows a page of a list, so the list starts again");
            self.restarted = true;
            self.lists.remove(name, self.size_before);
            self.progress = self.progress.restarted();
            return Ok(Next::Page);
        }
        losses.note(&join.provides.0, &join.permission, error)?;
        self.lists.remove(name, self.size_before);
        Ok(Next::End)
    }

    fn add_page(
        &mut self,
        purpose: Purpose<'_>,
        name: &str,
        join: &Join,
        size: Option<u32>,
        page: ListPage,
    ) -> Result<Next, SourceError> {
        let unexpected = |clause: &str| purpose.unexpected(clause, page.http_status);
        // Compared as a whole, because an id may occur several times.
        let entries: Vec<String> = page.entries.iter().map(Value::to_string).collect();
        for entry in page.entries {
            self.lists.insert(name, join, entry).map_err(unexpected)?;
        }
        let next = self
            .progress
            .advance(
                join.list().pages,
                &page.info,
                size,
                entries.len() as u64,
                entries.iter().map(String::as_str),
                None,
            )
            .map_err(|clause| unexpected(&clause))?;
        match self.progress.shortfall().filter(|_| next == Next::End) {
            // Whoever is missing on it would count as having no such part.
            Some(clause) => Err(unexpected(&clause)),
            None => Ok(next),
        }
    }
}
