//! All pages of a listing: the joined lists, then pass after pass over the users.

use std::sync::Arc;

use futures_util::stream::Stream;

use super::call::{self, Place};
use super::classify::plain_error;
use super::detail::{Calls, SLICE};
use super::join::{Joined, Losses};
use super::paginate::{Progress, Signs, Walk};
use super::request::Requests;
use super::select::{self, Candidate, Sifted};
use super::watch::Seen;
use super::{HttpSource, Reading};
use crate::manifest::paging::Paging;
use crate::source::{Checkpoint, ErrorClass, Loss, Page, SourceError};

/// What a run holds besides its checkpoint.
struct Run {
    joined: Arc<Joined>,
    losses: Losses,
    calls: Calls,
}

/// A page of users that is not complete yet.
struct Turn {
    number: u64,
    users: Vec<Candidate>,
    /// Records on the page, each counted once.
    records: u64,
    duplicates: u64,
    signs: Signs,
    http_status: u16,
    /// Of the answer, in bytes.
    size: usize,
}

impl HttpSource {
    /// All pages. Between them come empty ones, as signs of life while something else is read.
    pub(super) fn list(&self, from: Option<Checkpoint>) -> impl Stream<Item = Result<Page, SourceError>> + Send {
        let listing = &self.manifest.users;
        let mut progress = Progress::resume(&listing.pages.value, listing.passes(), from);
        async_stream::try_stream! {
            let requests = self.open(false).await?;
            let (mut joined, mut losses) = (Joined::default(), Losses::default());
            for (name, join) in &listing.joins {
                let mut walk = Walk::start();
                let join = (name.as_str(), &join.value);
                while self.join_page(requests, join, &mut walk, (&mut joined, &mut losses), false).await? {
                    yield sign_of_life(&progress);
                }
            }
            let mut run = Run { joined: Arc::new(joined), losses, calls: Calls::default() };
            let mut resumed = progress != Progress::start();
            loop {
                let mut turn = match self.users_page(requests, &progress, &run).await {
                    Err(error) if resumed && forgotten(&error) => {
                        tracing::warn!("The application no longer knows the checkpoint, so the listing begins anew");
                        resumed = false;
                        progress = Progress::start();
                        continue;
                    }
                    turn => turn?,
                };
                resumed = false;
                if !listing.details.is_empty() {
                    for slice in turn.users.chunks_mut(SLICE) {
                        self.complete(requests, slice, &mut run.losses, &mut run.calls).await?;
                        yield sign_of_life(&progress);
                    }
                }
                let (page, more) = self.turn(turn, &mut progress, &run).await?;
                yield page;
                if !more {
                    break;
                }
            }
        }
    }

    /// Reads the page that `progress` is at.
    async fn users_page(&self, requests: &Requests, progress: &Progress, run: &Run) -> Result<Turn, SourceError> {
        let list = self.manifest.users.pass(progress.pass);
        let number = progress.number();
        let place = Place::Users { page: number };
        let size = list.page_size.map(|size| size.count);
        let Reading { records, signs, http_status, size } =
            self.read(requests, &place, list, &progress.walk.position, size, false).await?;
        if records.is_empty() && number > 1 && self.proves_nothing(list.pages) {
            // To some applications a refused credential is nobody, and nobody sees an empty list.
            self.first_call(false).await?;
        }
        let (manifest, joined) = (Arc::clone(&self.manifest), Arc::clone(&run.joined));
        let lost = run.losses.fields.clone();
        let sift = move || select::sift(&manifest.users, &joined, &lost, records);
        let sifted = self.apart(size, sift).await?.map_err(|fault| call::unreadable(place, &fault, http_status))?;
        let Sifted { users, records, duplicates } = sifted;
        Ok(Turn { number, users, records, duplicates, signs, http_status, size })
    }

    /// Whether an empty page ends the list, and another call knows better who is asking.
    fn proves_nothing(&self, pages: &Paging) -> bool {
        let counts = match pages {
            Paging::Offset(rule) => rule.total.is_none() && rule.more.is_none(),
            Paging::Page(rule) => rule.total.is_none() && rule.more.is_none() && rule.last.is_none(),
            Paging::None | Paging::Scim | Paging::LinkHeader(_) | Paging::NextUrl(_) | Paging::Cursor(_) => false,
        };
        counts && self.manifest.identify.as_ref().is_some_and(|call| !call.value.optional)
    }

    /// Maps the users of a page, and moves `progress` on. The flag is false after the last page.
    async fn turn(&self, turn: Turn, progress: &mut Progress, run: &Run) -> Result<(Page, bool), SourceError> {
        let listing = &self.manifest.users;
        let list = listing.pass(progress.pass);
        let Turn { number, users, records, duplicates, signs, http_status, size } = turn;
        let place = Place::Users { page: number };
        let (manifest, seen) = (Arc::clone(&self.manifest), self.seen(number, &users).await?);
        let selected = self.apart(size, move || select::map(&manifest.users, users)).await?;
        if let (Some(watch), Some(seen)) = (&self.watch, seen) {
            let (skipped, unknown_statuses) = (records - selected.users.len() as u64, selected.unknown_statuses);
            watch(Seen { skipped, duplicates, unknown_statuses, ..seen });
        }

        progress.users += selected.users.len() as u64;
        progress.unknown_statuses += selected.unknown_statuses;
        let required = selected.carried.iter().filter(|field| listing.require_some.contains_key(*field));
        progress.carried.extend(required);
        if duplicates > 0 {
            tracing::warn!(page = number, duplicates, "A page held the same user more than once");
        }
        let ids = selected.users.iter().map(|user| user.external_id.as_str());
        let more = progress
            .walk
            .advance(list.pages, &signs, records, ids)
            .map_err(|clause| place.misfit(&clause, ErrorClass::Config, Some(http_status)))?;
        let more = more || progress.next_pass(listing.passes());

        let mut page = Page {
            users: selected.users,
            next: more.then(|| progress.checkpoint()),
            expected: signs.total.filter(|_| listing.passes() == 1),
            // On every page, so that a run which is cut does not forget it.
            lost: run.losses.parts.clone(),
            credential_expires_at: self.ends(),
        };
        if !more {
            page.lost.extend(self.find_missing_fields(progress)?);
            if progress.unknown_statuses > 0 {
                let count = progress.unknown_statuses;
                tracing::warn!(count, "The application gave statuses that the connector does not know");
            }
        }
        Ok((page, more))
    }

    /// At the end of a list: the required fields that no record had. Some applications refuse a
    /// permission in this way.
    fn find_missing_fields(&self, progress: &Progress) -> Result<Vec<Loss>, SourceError> {
        let required = &self.manifest.users.require_some;
        let absent = required.iter().filter(|(field, _)| progress.users > 0 && !progress.carried.contains(field));
        let mut lost = Vec::new();
        for (field, permission) in absent {
            let permission = permission.value.clone();
            let Some(capability) = field.info().capability else {
                let message = format!("The list came without a part that every user has. Missing: {permission}.");
                let error = plain_error(ErrorClass::Permission, message);
                return Err(SourceError { missing_permissions: vec![permission], ..error });
            };
            lost.push(Loss { capability, missing_permission: Some(permission) });
        }
        Ok(lost)
    }
}

/// A page with nobody on it, at the place where the listing is.
fn sign_of_life(progress: &Progress) -> Page {
    Page { next: Some(progress.checkpoint()), ..Page::default() }
}

/// Whether the application answered that the place to resume from does not exist (any more).
fn forgotten(error: &SourceError) -> bool {
    error.class == ErrorClass::Config && error.http_status.is_some()
}
