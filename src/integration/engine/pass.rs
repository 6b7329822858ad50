//! One pass over an application's user list, from its first page to its last.
//!
//! The steps of a page, top down: `request` builds the request, `connection` signs and sends it
//! and classifies the response, `list` takes the entries out of it, `record` joins them and
//! separates users from other entries, `detail` adds what only a request per user returns, and `map` turns each
//! record into a user. `progress` then finds the next page. When the list has ended, `proof` says whether it was
//! complete; if not, it is read once more.
//!
//! After an error the pass can continue: it repeats what failed.

use std::sync::Arc;

use super::connection::{Connection, offload};
use super::detail::Details;
use super::identify::{Requests, identify};
use super::join::{JoinReading, JoinedLists};
use super::list::{ListPage, Reader, has_expired, is_past_end};
use super::losses::Losses;
use super::map;
use super::memory::Share;
use super::observe::{PageObserver, RawPage};
use super::page_info::PageInfo;
use super::progress::{Next, Progress};
use super::proof::{Doubt, Proof, SeenIds};
use super::purpose::Purpose;
use super::record::{PageRecords, read_records};
use crate::manifest::listing::UserList;
use crate::manifest::paging::Paging;
use crate::source::{Checkpoint, ErrorClass, Loss, Page, SourceError};

/// How many users' details are requested before a keep-alive page is returned.
const DETAILS_PER_STEP: usize = 25;

/// Everything that is known about a listing, and what to do next.
pub(super) struct Pass<'a> {
    connection: &'a Connection,
    requests: &'a Requests,
    observer: Option<&'a PageObserver>,
    stage: Stage<'a>,
    progress: Progress,
    /// The ids of the list that is being read.
    ids: SeenIds,
    /// How many entries of the list the application counts, if there is a request for it.
    count: Option<u64>,
    /// Whether `count` was asked for.
    has_counted: bool,
    /// The list was begun again, because the application did not know a position any more.
    restarted: bool,
    joined: Arc<JoinedLists>,
    losses: Losses,
    details: Details,
    /// What the page of users takes of the memory for responses, until it is stored.
    share: Option<Share>,
}

/// What the pass does next.
enum Stage<'a> {
    /// Read the lists that are joined to the users.
    Joins(JoinReading<'a>),
    /// Read a page of users.
    Users,
    /// Request the details of a page's users, of which `completed` are complete, and map them.
    Details {
        page: UsersPage,
        completed: usize,
    },
    Finished,
}

/// A page of users that are not mapped yet.
#[derive(Default)]
struct UsersPage {
    number: u64,
    records: PageRecords,
    info: PageInfo,
    http_status: u16,
    /// The size of the response, in bytes.
    size: usize,
    /// There is no such page: the one before was the last.
    is_past_end: bool,
}

impl<'a> Pass<'a> {
    pub fn new(
        connection: &'a Connection,
        requests: &'a Requests,
        observer: Option<&'a PageObserver>,
        from: Option<Checkpoint>,
    ) -> Self {
        let listing = &connection.manifest().users;
        let progress = Progress::resume(&listing.lists, from);
        Self {
            connection,
            requests,
            observer,
            stage: Stage::Joins(JoinReading::new(listing)),
            ids: if progress.list.pages == 0 { SeenIds::default() } else { SeenIds::resumed() },
            progress,
            count: None,
            has_counted: false,
            restarted: false,
            joined: Arc::default(),
            losses: Losses::default(),
            details: Details::default(),
            share: None,
        }
    }

    /// The list that is being read.
    fn list(&self) -> &'a UserList {
        &self.connection.manifest().users.lists[self.progress.number]
    }

    /// The number of lists.
    fn lists(&self) -> usize {
        self.connection.manifest().users.lists.len()
    }

    /// What the next page is read for. A list with a name counts its own pages.
    fn purpose(&self) -> Purpose<'a> {
        let list = self.list();
        let page = if list.name.is_some() { self.progress.list.pages + 1 } else { self.progress.page_number() };
        Purpose::Users { list, page }
    }

    /// The next page of users, or an empty keep-alive page while something else is read.
    /// `None` after the last page.
    pub async fn next(&mut self) -> Result<Option<Page>, SourceError> {
        if !matches!(self.stage, Stage::Details { .. }) {
            // The page before has been stored.
            self.share = None;
        }
        let page = self.step().await;
        if page.is_err() {
            // A run that waits for its application must not hold others up.
            self.share = None;
        }
        page
    }

    async fn step(&mut self) -> Result<Option<Page>, SourceError> {
        if matches!(self.stage, Stage::Finished) {
            return Ok(None);
        }
        let retry = self.connection.retry_policy();
        let requests = self.requests.current(self.connection, &retry).await?;
        let reader = Reader { connection: self.connection, requests: &requests, retry };
        loop {
            let list = self.list();
            match &mut self.stage {
                Stage::Joins(joins) => {
                    if joins.read(reader, &mut self.losses).await? == Next::Page {
                        return Ok(Some(self.keep_alive()));
                    }
                    self.joined = Arc::new(joins.take_lists());
                    self.stage = Stage::Users;
                }
                Stage::Users => match self.read_users(reader).await {
                    Ok(page) => self.stage = Stage::Details { page, completed: 0 },
                    Err(error) => return self.skip_list(error).map(Some),
                },
                Stage::Details { page, completed } => {
                    let remaining = page.records.users.get_mut(*completed..).unwrap_or_default();
                    if !list.details.is_empty() && !remaining.is_empty() {
                        let step = remaining.len().min(DETAILS_PER_STEP);
                        self.details.complete(reader, list, &mut remaining[..step], &mut self.losses).await?;
                        *completed += step;
                        return Ok(Some(self.keep_alive()));
                    }
                    let page = std::mem::take(page);
                    self.stage = Stage::Users;
                    return self.finish_page(reader, page).await.map(Some);
                }
                Stage::Finished => return Ok(None),
            }
        }
    }

    /// A page without users, which shows that the listing is still in progress.
    fn keep_alive(&self) -> Page {
        Page { next: Some(self.progress.checkpoint()), ..Page::default() }
    }

    /// Reads the page that `progress` points to. If the application does not know the position any
    /// more, the list is read from its beginning, once.
    async fn read_users(&mut self, reader: Reader<'_>) -> Result<UsersPage, SourceError> {
        if !self.has_counted {
            self.count = count(reader, self.list()).await?;
            self.has_counted = true;
        }
        match self.try_read_users(reader).await {
            Err(error) if is_past_end(&error, &self.progress.list) => {
                Ok(UsersPage { number: self.progress.page_number(), is_past_end: true, ..UsersPage::default() })
            }
            Err(error) if !self.restarted && has_expired(&error, &self.progress.list.position) => {
                tracing::warn!("The application no longer knows a position, so the listing starts again");
                self.restarted = true;
                self.progress.restart();
                self.ids = SeenIds::default();
                self.count = count(reader, self.list()).await?;
                self.try_read_users(reader).await
            }
            read => read,
        }
    }

    /// Continues without a list that could not be read, if the manifest allows it.
    fn skip_list(&mut self, error: SourceError) -> Result<Page, SourceError> {
        self.losses.note_list(self.list(), error)?;
        let summary = std::mem::take(&mut self.ids).judge(None, false, None).summary;
        self.has_counted = false;
        let next = self.progress.end_list(self.lists(), summary, None);
        self.page(next)
    }

    /// A page without users, in the middle of the listing or at its end. The losses are repeated on every page, so
    /// that a run that resumes from a checkpoint knows them too.
    fn page(&mut self, next: Next) -> Result<Page, SourceError> {
        let mut page = Page { lost: self.losses.parts.clone(), ..self.keep_alive() };
        if next == Next::End {
            page.next = None;
            page.lost.extend(self.finish()?);
        }
        Ok(page)
    }

    async fn try_read_users(&mut self, reader: Reader<'_>) -> Result<UsersPage, SourceError> {
        let manifest = self.connection.manifest();
        let list = self.list().list();
        let (number, purpose) = (self.progress.page_number(), self.purpose());
        let size = list.page_size.map(|size| size.count);
        let page = reader.page(purpose, list, &mut self.progress.list, size).await?;
        let ListPage { entries, info, http_status, size, share } = page;
        self.share = Some(share);
        if entries.is_empty()
            && self.progress.list.pages > 0
            && !self.progress.list.is_at_empty_page()
            && self.needs_identity_check(list.pages)
        {
            identify(self.connection, &reader.retry).await?;
        }
        let (manifest, joined) = (Arc::clone(manifest), Arc::clone(&self.joined));
        let unknown = self.losses.fields.clone();
        let of_list = self.progress.number;
        let read = move || read_records(&manifest.users, of_list, &joined, &unknown, entries);
        let records = offload(size, read).await?.map_err(|error| purpose.unreadable(&error, http_status))?;
        Ok(UsersPage { number, records, info, http_status, size, is_past_end: false })
    }

    /// Whether an empty page must not end the list before the credential was checked again.
    /// Some applications treat a revoked credential as an anonymous user, who sees an empty list.
    fn needs_identity_check(&self, pages: &Paging) -> bool {
        let ends_with_empty_page = match pages {
            Paging::Offset(rule) => rule.total.is_none() && rule.more.is_none(),
            Paging::Page(rule) => rule.total.is_none() && rule.more.is_none() && rule.last.is_none(),
            Paging::None | Paging::Scim | Paging::LinkHeader(_) | Paging::NextUrl(_) | Paging::Cursor(_) => false,
        };
        let identify = &self.connection.manifest().identify;
        ends_with_empty_page && identify.as_ref().is_some_and(|rule| !rule.value.optional)
    }

    /// Maps the users of a page, and moves on to the next one.
    async fn finish_page(&mut self, reader: Reader<'_>, page: UsersPage) -> Result<Page, SourceError> {
        let manifest = Arc::clone(self.connection.manifest());
        let UsersPage { number, records, info, http_status, size, is_past_end } = page;
        let PageRecords { users, entries, duplicates, ids, nameless } = records;
        if duplicates > 0 {
            tracing::warn!(page = number, duplicates, "A page contains the same user more than once");
        }
        let raw = match self.observer {
            Some(_) => Some(RawPage::new(number, &users, &self.connection.secrets(&reader.retry).await?)),
            None => None,
        };
        let (of_list, carried) = (self.progress.number, self.progress.carried.clone());
        let mapped = offload(size, move || map::map_users(&manifest.users, of_list, &carried, users)).await?;
        if let (Some(observer), Some(raw)) = (self.observer, raw) {
            let (skipped, unknown_statuses) = (entries - mapped.users.len() as u64, mapped.unknown_statuses);
            observer(RawPage { skipped, duplicates, unknown_statuses, ..raw });
        }

        self.progress.unknown_statuses += mapped.unknown_statuses;
        self.progress.carried.extend(&mapped.carried);
        self.losses.note_incomplete(&mapped.incomplete);
        let (list, purpose) = (self.list().list(), self.purpose());
        let asked = list.page_size.map(|size| size.count);
        let page_ids = mapped.users.iter().map(|user| user.external_id.as_str());
        let received = self.progress.list.received;
        let mut next = if is_past_end {
            Next::End
        } else {
            self.progress
                .list
                .advance(list.pages, &info, asked, entries, page_ids, self.count)
                .map_err(|clause| purpose.unexpected(&clause, http_status))?
        };
        // A page that came before, or that will be read again, does not count.
        if self.progress.list.received > received {
            self.ids.add(&ids, nameless);
            self.progress.users += mapped.users.len() as u64;
        }
        let mut expect_distinct = None;
        if next == Next::End {
            (next, expect_distinct) = self.end_list();
        }

        Ok(Page {
            users: mapped.users,
            expected: info.total.filter(|_| self.lists() == 1),
            credential_expires_at: self.connection.credential_expires_at(),
            expect_distinct,
            ..self.page(next)?
        })
    }

    /// Ends the list that was read. Continues with the next one, or with a second reading of all. The number is that
    /// of [`Page::expect_distinct`].
    fn end_list(&mut self) -> (Next, Option<u64>) {
        let (list, lists) = (self.list(), self.lists());
        let ids = std::mem::take(&mut self.ids);
        let total = self.progress.list.total().or(self.count);
        let may_shift = list.may_shift() && self.progress.list.has_several_pages();
        let Proof { summary, mut doubt } = ids.judge(total, may_shift, self.progress.before());
        let mut expect_distinct = None;
        if ids.is_incomplete() {
            let skipped = self.progress.list.received > self.progress.users;
            let countable = lists == 1 && !skipped && !self.progress.is_second_reading();
            doubt = match total {
                _ if ids.repeated() > 0 || !countable => Some(Doubt::Interrupted),
                Some(total) => Doubt::fewer(self.progress.list.received, total),
                None if may_shift => Some(Doubt::Shifting),
                None => None,
            };
            expect_distinct = Some(self.progress.users).filter(|_| doubt.is_none());
        }
        doubt = self.progress.list.same_page().map(Doubt::SamePage).or(doubt);
        if let Some(doubt) = &doubt {
            let list = list.name.as_deref();
            tracing::warn!(%doubt, list, second_reading = self.progress.is_second_reading(), "The list is not proven to be complete");
        }
        let next = self.progress.end_list(lists, summary, doubt.map(|doubt| (list.capability(), doubt)));
        // Every list has its own count, and a second reading counts again.
        self.has_counted = false;
        (next, expect_distinct)
    }

    /// Ends the listing. Returns the losses that only the whole list shows: required fields that no record had,
    /// because some applications leave a field out if a permission is missing; and the list itself, if it could not
    /// prove that it is complete.
    fn finish(&mut self) -> Result<Vec<Loss>, SourceError> {
        self.stage = Stage::Finished;
        let progress = &self.progress;
        if progress.unknown_statuses > 0 {
            let count = progress.unknown_statuses;
            tracing::warn!(count, "The application gave statuses that the manifest does not know");
        }
        let required = &self.connection.manifest().users.require_some;
        let absent = required.iter().filter(|(field, _)| progress.users > 0 && !progress.carried.contains(field));
        let mut lost = Vec::new();
        for (field, permission) in absent {
            let permission = permission.value.clone();
            let Some(capability) = field.info().capability else {
                let message = format!("The list lacks a part that every user has. Missing: {permission}.");
                let error = SourceError::new(ErrorClass::Permission, message);
                return Err(SourceError { missing_permissions: vec![permission], ..error });
            };
            lost.push(Loss::new(capability, Some(permission), None));
        }
        lost.extend(progress.doubts().map(|(capability, doubt)| Loss::new(capability, None, Some(doubt.to_owned()))));
        Ok(lost)
    }
}

/// How many entries of a list the application counts, if the manifest has a request for it. Without that number the list may
/// lack its proof, but it can be read.
async fn count(reader: Reader<'_>, list: &UserList) -> Result<Option<u64>, SourceError> {
    let Some(rule) = &list.count else { return Ok(None) };
    let purpose = Purpose::Count;
    let request = reader.requests.count(rule).map_err(|clause| purpose.unbuildable(&clause))?;
    match reader.send(purpose, request).await {
        Ok(success) => Ok(success.json(purpose).ok().and_then(|body| rule.at.number(&body))),
        Err(error) if !matches!(error.class, ErrorClass::Token | ErrorClass::Internal) => {
            tracing::warn!(error = error.message, "The application does not count its users");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
