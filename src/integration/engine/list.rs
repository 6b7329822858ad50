//! Reads one page of a list.

use serde_json::Value;

use super::body;
use super::client::Request;
use super::connection::{Connection, Success};
use super::page_info::PageInfo;
use super::position::Position;
use super::purpose::Purpose;
use super::request::RequestBuilder;
use super::retry::RetryPolicy;
use crate::manifest::listing::List;
use crate::source::SourceError;

/// A connection whose requests can be built, and how often they are repeated.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub connection: &'a Connection,
    pub requests: &'a RequestBuilder,
    pub retry: RetryPolicy,
}

/// A page of a list, before its entries are looked at.
pub(super) struct ListPage {
    pub entries: Vec<Value>,
    pub info: PageInfo,
    pub http_status: u16,
    /// The size of the response, in bytes.
    pub size: usize,
}

impl Reader<'_> {
    /// Reads the page at this position. `size` is how many records to ask for.
    pub async fn page(
        self,
        purpose: Purpose<'_>,
        list: List<'_>,
        position: &Position,
        size: Option<u32>,
    ) -> Result<ListPage, SourceError> {
        let request = self.requests.page(list, position, size).map_err(|clause| purpose.unbuildable(&clause))?;
        let url = request.url.clone();
        let success = self.send(purpose, request).await?;
        let Success { http_status, size, .. } = success;
        let headers = success.headers.clone();
        let mut body = success.json(purpose)?;
        let mut info = PageInfo::read(list.pages, &body, &headers);
        if let Some(next) = info.next_url_mut(list.pages) {
            let mut own =
                self.requests.own_address(&url, next).map_err(|clause| purpose.unexpected(&clause, http_status))?;
            self.connection.credential().strip(&mut own);
            *next = own.into();
        }
        let entries = body::take_list(list, &mut body).map_err(|error| purpose.unreadable(&error, http_status))?;
        Ok(ListPage { entries, info, http_status, size })
    }

    pub async fn send(self, purpose: Purpose<'_>, request: Request) -> Result<Success, SourceError> {
        self.connection.send(purpose, request, &self.retry).await
    }
}
