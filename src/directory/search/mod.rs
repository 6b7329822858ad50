//! Searches for users by words.
//!
//! A search walks a range of the index of words: the one of its rarest term, in the order of words and then of users.
//! Each entry has all words of its user, so that the database compares them with the other terms, and only users whom
//! the whole search finds are read. A user is found by the first of its words in the range, and so once on all pages.
//!
//! However rare the combination of terms is, a page ends after about [`BUDGET`] entries. It may then be short, or
//! even empty, and says where to go on.

use std::cmp::{self, Reverse};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use entity::user::{Column, Entity};
use entity::user_word;
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::reported::{Reported, shown};
use super::users::{Filter, Found, Page, Position as InList};
use super::words::{Term, Words};
use crate::db::{Columns, Reader, keyset};
use crate::error::Result;
use found::{found_among, found_in};
use walk::{Entry, Walk};

mod found;
mod totals;
mod walk;

pub(super) use totals::{total, totals};
pub use walk::Position;

/// After how many entries a page ends early.
const BUDGET: u64 = 2_000;
/// How many entries more than it needs a page reads.
const SPARE: u64 = 16;
/// Up to which number the entries of a term are compared with those of others.
const RARE: u64 = 300;

/// A search in all instances or in one, and what it has found.
struct Search {
    instance: Option<Uuid>,
    walks: VecDeque<Walk>,
    after: Option<Position>,
    page: Page,
    /// How many entries it has looked at, at least, and after how many it ends.
    looked: u64,
    budget: u64,
}

impl Search {
    fn new(instance: Option<Uuid>, walks: VecDeque<Walk>, after: Option<Position>, budget: u64) -> Self {
        Self { instance, walks, after, page: Page::default(), looked: 0, budget }
    }

    /// The entries to be read next; `None` if the page is done.
    fn next(&self, limit: u64, filter: &Filter, backend: DbBackend) -> Option<SelectStatement> {
        let walk = self.walks.front()?;
        if self.looked >= self.budget || self.page.users.len() as u64 >= limit {
            return None;
        }
        let mut entries = walk.entries(self.instance, backend);
        if let Some(after) = &self.after {
            entries = Walk::entries_after(entries, after);
        }
        let found = found_in(walk, filter, backend);
        Some(found_among(entries, self.budget, found, limit + SPARE))
    }

    /// Takes the entries that were read, and returns those of users that may be found.
    fn take(&mut self, limit: u64, mut entries: Vec<Entry>) -> Vec<Entry> {
        let Some(walk) = self.walks.front().cloned() else { return Vec::new() };
        entries.sort_unstable_by(|a, b| (&a.word, a.user_id, a.is_last).cmp(&(&b.word, b.user_id, b.is_last)));
        let is_full = entries.len() as u64 == limit + SPARE;
        self.looked += entries.len() as u64;
        let last = entries.pop_if(|entry| entry.is_last);
        if last.is_some() {
            self.looked = self.budget;
        }
        let place = last.as_ref().or_else(|| entries.last().filter(|_| is_full));
        self.after = place.map(|entry| walk.at(entry));
        if self.after.is_none() {
            self.walks.pop_front();
        }
        entries
    }

    /// Adds those of the entries' users that the filter matches.
    fn add(&mut self, limit: u64, walk: &Walk, entries: &[Entry], users: &HashMap<Uuid, Arc<Reported>>) {
        for entry in entries {
            let Some(user) = users.get(&entry.user_id) else { continue };
            // The user may have been renamed meanwhile.
            let words = Words::of(user.email.as_deref(), user.display_name.as_deref());
            if (self.page.users.len() as u64) < limit && words.joined() == entry.words {
                self.page.users.push(Found { user: user.clone(), position: InList::Word(walk.at(entry)) });
            }
        }
    }

    fn end(mut self, limit: u64) -> Page {
        if (self.page.users.len() as u64) < limit
            && let Some(walk) = self.walks.front()
        {
            self.page.rest = Some(InList::Word(self.after.unwrap_or_else(|| walk.start())));
        }
        self.page
    }
}

/// Whether a position can be one of this search.
pub(super) fn is_in(filter: &Filter, position: &Position) -> bool {
    Walk::from(filter, position).is_some()
}

/// One page in all instances, or in the one of the filter.
pub(super) async fn page(reader: &Reader, filter: &Filter, after: Option<Position>, limit: u64) -> Result<Page> {
    let walks = match &after {
        Some(position) => Walk::from(filter, position).unwrap_or_default(),
        None => walks(reader, filter).await?,
    };
    let search = Search::new(filter.instance_id, walks, after, BUDGET);
    let found = go(reader, filter, vec![search], limit).await?;
    Ok(found.into_iter().map(|search| search.end(limit)).next().unwrap_or_default())
}

/// A page in each of several instances.
pub(super) async fn pages(
    reader: &Reader,
    instances: &[Uuid],
    filter: &Filter,
    after: Option<Position>,
    limit: u64,
) -> Result<HashMap<Uuid, Page>> {
    let walks = match &after {
        Some(position) => Walk::from(filter, position).unwrap_or_default(),
        None => walks(reader, filter).await?,
    };
    let share = BUDGET / cmp::max(instances.len() as u64, 1);
    // Few different numbers, because each is a statement of its own.
    let budget = cmp::max(share, 2 * (limit + SPARE)).next_power_of_two();
    let searches = instances.iter().map(|id| Search::new(Some(*id), walks.clone(), after.clone(), budget));
    let found = go(reader, filter, searches.collect(), limit).await?;
    let page = |search: Search| Some((search.instance?, search.end(limit)));
    Ok(found.into_iter().filter_map(page).collect())
}

/// Reads entries and then their users, for all searches at once, until all pages are done.
async fn go(reader: &Reader, filter: &Filter, mut searches: Vec<Search>, limit: u64) -> Result<Vec<Search>> {
    let backend = reader.get_database_backend();
    loop {
        let next = searches
            .iter()
            .enumerate()
            .filter_map(|(index, search)| Some((index, search.next(limit, filter, backend)?)));
        let (reading, statements): (Vec<usize>, Vec<SelectStatement>) = next.unzip();
        if reading.is_empty() {
            return Ok(searches);
        }
        let alone = searches.len() == 1;
        let of = |entry: &Entry| if alone { None } else { Some(entry.instance_id) };
        let mut entries = keyset::pages(reader, statements, Columns::ALL, of).await?;
        let mut found = Vec::with_capacity(reading.len());
        for index in reading {
            let search = &mut searches[index];
            let Some(walk) = search.walks.front().cloned() else { continue };
            let key = if alone { None } else { search.instance };
            let entries = search.take(limit, entries.remove(&key).unwrap_or_default());
            found.push((index, walk, entries));
        }
        let ids: Vec<Uuid> = found.iter().flat_map(|(.., entries)| entries.iter().map(|entry| entry.user_id)).collect();
        let users = users(reader, filter, &ids).await?;
        for (index, walk, entries) in found {
            searches[index].add(limit, &walk, &entries, &users);
        }
    }
}

/// Those of the users that the filter matches, without the search.
async fn users(reader: &Reader, filter: &Filter, ids: &[Uuid]) -> Result<HashMap<Uuid, Arc<Reported>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut own = filter.select().filter(keyset::among((Entity, Column::Id), ids, reader.get_database_backend()));
    if let Some(instance) = filter.instance_id {
        own = own.filter(Column::InstanceId.eq(instance));
    }
    let users: Vec<Reported> = reader.rows(shown(own, Columns::ALL).into_query()).await?;
    Ok(users.into_iter().map(|user| (user.id, Arc::new(user))).collect())
}

/// The walks of the rarest term.
async fn walks(reader: &Reader, filter: &Filter) -> Result<VecDeque<Walk>> {
    let terms: Vec<&Term> = filter.search.iter().collect();
    let [first, ..] = terms[..] else { return Ok(VecDeque::new()) };
    if terms.len() == 1 && !first.is_compound() {
        return Ok(Walk::all(first, &first.whole));
    }
    let leads = terms.iter().flat_map(|term| std::iter::once(&term.whole).chain(&term.words).map(String::as_str));
    let sizes = sizes(reader, filter, &leads.collect::<BTreeSet<_>>()).await?;
    let size = |lead: &str| sizes.get(lead).copied().unwrap_or(i64::MAX);
    // Of words that are all frequent, the longest is probably the rarest.
    let rank = |lead: &str| (size(lead), Reverse(lead.len()));
    let cost = |term: &&&Term| {
        let word = term.words.iter().map(|word| rank(word)).min();
        let (of_word, length) = word.unwrap_or((0, Reverse(0)));
        if term.is_compound() { (of_word.saturating_add(size(&term.whole)), length) } else { (of_word, length) }
    };
    let rarest = terms.iter().min_by_key(cost).copied().unwrap_or(first);
    let word = rarest.words.iter().min_by_key(|word| rank(word));
    Ok(word.map_or_else(VecDeque::new, |word| Walk::all(rarest, word)))
}

/// How many entries there are for each of several beginnings, up to [`RARE`].
async fn sizes(reader: &Reader, filter: &Filter, leads: &BTreeSet<&str>) -> Result<HashMap<String, i64>> {
    let backend = reader.get_database_backend();
    let parts = leads.iter().map(|lead| {
        let walk = Walk { lead: (*lead).to_owned(), except: None };
        let entries = walk.entries(filter.instance_id, backend).select_only().column(user_word::Column::UserId);
        Query::select()
            .expr_as(Expr::value(*lead), "lead")
            .expr_as(Expr::col(Asterisk).count(), "entries")
            .from_subquery(entries.limit(RARE).into_query(), "some")
            .take()
    });
    let union = parts.reduce(|mut all, part| all.union(UnionType::All, part).take());
    let Some(union) = union else { return Ok(HashMap::new()) };
    let sizes: Vec<(String, i64)> = reader.rows(union).await?;
    Ok(sizes.into_iter().collect())
}
