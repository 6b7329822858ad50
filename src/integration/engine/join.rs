//! Further lists, joined to the users by id.
//!
//! Each list is read once, before the users. Of every entry, its id and the parts that the
//! manifest keeps stay in memory. If the application refuses a list, the columns that it
//! provides are unknown in this run.

use std::collections::{BTreeMap, HashMap, btree_map};

use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::list::Reader;
use super::losses::Losses;
use super::progress::{ListProgress, Next};
use super::purpose::Purpose;
use crate::manifest::expr::{Document, Path};
use crate::manifest::listing::{Join, Listing};
use crate::source::SourceError;

/// The key under which joined parts are added to a user's record.
pub(super) const JOINED: &str = "_joined";
/// The most entries of all joined lists together.
const MAX_ENTRIES: usize = 1_000_000;
/// The size limit for the kept parts of all lists together, in bytes of text.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The lists that were read.
#[derive(Debug, Default)]
pub(super) struct JoinedLists {
    /// The kept parts, by the name of the list, then by id.
    lists: BTreeMap<String, HashMap<String, Value>>,
    entries: usize,
    kept_bytes: usize,
}

impl JoinedLists {
    /// Adds what the lists say about a user to the user's record.
    pub fn add_to(&self, listing: &Listing, mut record: Document) -> Document {
        for (name, rows) in &self.lists {
            let Some(join) = listing.joins.get(name) else { continue };
            let found = join.value.on().text(&record).and_then(|id| rows.get(&id));
            if let Some(found) = found.cloned() {
                record.put(JOINED, name, found);
            }
        }
        record
    }

    /// Adds an entry of a list. Fails with a clause for a person.
    fn insert(&mut self, name: &str, join: &Join, entry: Value) -> Result<(), &'static str> {
        let entry = Document::new(entry);
        let id = join.key.text(&entry).ok_or("a record has no id")?;
        let part = |(part, path): (&String, &Path)| Some((part.clone(), path.all(&entry).next()?.clone()));
        let kept: Value = join.keep.iter().filter_map(part).collect::<Map<_, _>>().into();
        self.entries += 1;
        self.kept_bytes += id.len() + if join.keep.is_empty() { 0 } else { kept.to_string().len() };
        self.lists.entry(name.to_owned()).or_default().insert(id, kept);
        let too_long = self.entries > MAX_ENTRIES || self.kept_bytes > MAX_KEPT_BYTES;
        if too_long { Err("the list is too long to be joined") } else { Ok(()) }
    }
}

/// Reads the joined lists, one after another.
pub(super) struct JoinReading<'a> {
    remaining: btree_map::Iter<'a, String, Spanned<Join>>,
    /// The list that is being read.
    current: Option<(&'a str, &'a Join)>,
    progress: ListProgress,
    lists: JoinedLists,
}

impl<'a> JoinReading<'a> {
    pub fn new(listing: &'a Listing) -> Self {
        let mut reading = Self {
            remaining: listing.joins.iter(),
            current: None,
            progress: ListProgress::start(),
            lists: JoinedLists::default(),
        };
        reading.next_list();
        reading
    }

    fn next_list(&mut self) {
        self.current = self.remaining.next().map(|(name, join)| (name.as_str(), &join.value));
        self.progress = ListProgress::start();
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

    /// Reads one page. A list that is refused ends, and is noted in `losses`.
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
        let page = match reader.page(purpose, list, &self.progress.position, size).await {
            Ok(page) => page,
            Err(error) => {
                losses.note(&join.provides.0, &join.permission, error)?;
                self.lists.lists.remove(name);
                return Ok(Next::End);
            }
        };
        let unexpected = |clause: &str| purpose.unexpected(clause, page.http_status);
        // Compared as a whole, because an id may occur several times.
        let entries: Vec<String> = page.entries.iter().map(Value::to_string).collect();
        for entry in page.entries {
            self.lists.insert(name, join, entry).map_err(unexpected)?;
        }
        self.progress
            .advance(list.pages, &page.info, size, entries.len() as u64, entries.iter().map(String::as_str))
            .map_err(|clause| unexpected(&clause))
    }
}
