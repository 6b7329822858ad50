//! Reads one page of a list.

use serde_json::Value;

use super::body;
use super::client::Request;
use super::connection::{Connection, Success};
use super::memory::Share;
use super::page_info::PageInfo;
use super::position::Position;
use super::progress::ListProgress;
use super::purpose::Purpose;
use super::request::RequestBuilder;
use super::retry::RetryPolicy;
use super::scim;
use crate::manifest::listing::{List, PageSize};
use crate::manifest::paging::Paging;
use crate::source::{Advice, ErrorClass, SourceError};

/// A connection whose requests can be built, and how often they are repeated.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub connection: &'a Connection,
    pub requests: &'a RequestBuilder,
    pub retry: RetryPolicy,
}

/// A page of a list, whose entries are not processed yet.
pub(super) struct ListPage {
    pub entries: Vec<Value>,
    pub info: PageInfo,
    pub http_status: u16,
    /// The size of the response, in bytes.
    pub size: usize,
    /// To be held as long as the entries.
    pub share: Share,
}

impl Reader<'_> {
    /// Reads the page at the position of `progress`. `size` is how many records to ask for. If the
    /// application finds that too many, half as many are asked for from then on. If a SCIM server accepts no size at
    /// all, none is sent from then on.
    pub async fn page(
        self,
        purpose: Purpose<'_>,
        list: List<'_>,
        progress: &mut ListProgress,
        size: Option<u32>,
    ) -> Result<ListPage, SourceError> {
        loop {
            let size = progress.size_to_ask(size);
            let error = match self.page_of_size(purpose, list, &progress.position, size).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let sized = list.page_size.and_then(PageSize::slot).is_some();
            if sized && size.is_some() && refuses_size(&error, list.pages, &progress.position) {
                let page = self.page_of_size(purpose, list, &progress.position, None).await.map_err(|_| error)?;
                tracing::info!("The application does not accept a page size, so pages are requested without one");
                progress.size = Some(ListProgress::UNSIZED);
                return Ok(page);
            }
            let smaller = size.filter(|size| *size > 1 && sized && error.advice == Advice::SmallerPage);
            let Some(smaller) = smaller.map(|size| size / 2) else { return Err(error) };
            tracing::info!(size = smaller, "The application finds a page too large, so fewer records are requested");
            progress.size = Some(smaller);
            if !fits_any_size(list.pages, &progress.position) {
                return Err(SourceError { advice: Advice::ReadAgain, ..error });
            }
        }
    }

    async fn page_of_size(
        self,
        purpose: Purpose<'_>,
        list: List<'_>,
        position: &Position,
        size: Option<u32>,
    ) -> Result<ListPage, SourceError> {
        let request = self.requests.page(list, position, size).map_err(|clause| purpose.unbuildable(&clause))?;
        let url = request.url.clone();
        let Success { http_status, headers, size, share, body } = self.send(purpose, request).await?;
        let mut body = body.map_err(|error| purpose.unreadable(&error, http_status))?;
        if matches!(list.pages, Paging::Scim) {
            self.connection.spelling().apply(body.value_mut());
            scim::normalize(body.value_mut());
        }
        let mut info = PageInfo::read(list.pages, &body, &headers);
        if let Some(next) = info.next_url_mut(list.pages) {
            let mut own =
                self.requests.own_address(&url, next).map_err(|clause| purpose.unexpected(&clause, http_status))?;
            self.connection.credential().strip(&mut own);
            *next = own.into();
        }
        let entries = body::take_list(list, &mut body).map_err(|error| purpose.unreadable(&error, http_status))?;
        Ok(ListPage { entries, info, http_status, size, share })
    }

    pub async fn send(self, purpose: Purpose<'_>, request: Request) -> Result<Success, SourceError> {
        let retry = if purpose.is_optional(self.connection.manifest()) { self.retry.for_part() } else { self.retry };
        self.connection.send(purpose, request, &retry).await
    }
}

/// Whether the page size may be what the application does not accept. SCIM servers may ignore it (RFC 7644, 3.4.2.4),
/// some refuse it, and Canaille 0.3 fails at it.
fn refuses_size(error: &SourceError, paging: &Paging, position: &Position) -> bool {
    let refused = error.class == ErrorClass::Config && matches!(error.http_status, Some(400 | 422));
    let failed = error.http_status == Some(500);
    (refused || failed) && *position == Position::Start && matches!(paging, Paging::Scim)
}

/// Whether a position means the same record for pages of any size.
fn fits_any_size(paging: &Paging, position: &Position) -> bool {
    match paging {
        Paging::None | Paging::Scim | Paging::Cursor(_) | Paging::Offset(_) => true,
        Paging::Page(_) | Paging::LinkHeader(_) | Paging::NextUrl(_) => *position == Position::Start,
    }
}

/// Whether an error says that there is nothing at a position, where there is reason to think so.
pub(super) fn is_past_end(error: &SourceError, progress: &ListProgress) -> bool {
    let refused = error.class == ErrorClass::Config && matches!(error.http_status, Some(400 | 404 | 416 | 422));
    progress.may_be_at_end() && (refused || error.http_status == Some(500))
}

/// Whether an error says that the application does not know this position any more.
pub(super) fn has_expired(error: &SourceError, position: &Position) -> bool {
    let unknown = error.class == ErrorClass::Config && matches!(error.http_status, Some(400 | 404 | 410 | 422));
    *position != Position::Start && (unknown || error.advice == Advice::ReadAgain)
}
