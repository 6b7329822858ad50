//! The credential check: one record of each list.

use super::connection::Connection;
use super::identify::identify;
use super::join::JoinReading;
use super::list::Reader;
use super::losses::Losses;
use super::position::{Page, Position, next_position};
use super::progress::ListProgress;
use super::purpose::Purpose;
use crate::manifest::listing::UserList;
use crate::source::{SourceError, Verified};

/// Asks for one record of each list.
pub(super) async fn check(connection: &Connection) -> Result<Verified, SourceError> {
    let retry = connection.retry_policy().interactive();
    // Not taken from an earlier check or listing, which may have been before the credential was revoked.
    let requests = &identify(connection, &retry).await?;
    let reader = Reader { connection, requests, retry };
    let listing = &connection.manifest().users;
    let mut losses = Losses::default();
    JoinReading::new(listing).probe(reader, &mut losses).await?;

    // The lists that may be refused, and one of the others.
    let needed = listing.lists.iter().position(|list| list.permission.is_none());
    let probed = listing.lists.iter().enumerate();
    for (_, list) in probed.filter(|(number, list)| list.permission.is_some() || needed == Some(*number)) {
        if let Err(error) = probe(reader, list).await {
            losses.note_list(list, error)?;
        }
    }
    Ok(Verified {
        tenant: requests.tenant().map(str::to_owned),
        lost: losses.parts,
        credential_expires_at: connection.credential_expires_at(),
    })
}

/// Asks for one record of a list.
async fn probe(reader: Reader<'_>, list: &UserList) -> Result<(), SourceError> {
    let purpose = Purpose::Users { list, page: 1 };
    let list = list.list();
    let page = reader.page(purpose, list, &mut ListProgress::start(), Some(1)).await?;
    let records = page.entries.len() as u64;
    let first = Page {
        records,
        received: records,
        total: page.info.total,
        is_full: false,
        empty_pages: 0,
        step: 1,
        asked: 1,
        counted: None,
    };
    next_position(list.pages, &Position::Start, &page.info, &first)
        .map_err(|clause| purpose.unexpected(&clause, page.http_status))?;
    Ok(())
}
