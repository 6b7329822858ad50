//! Requests about single users, for what no list says.
//!
//! Several are sent at a time, as many as the manifest allows. If the application does not know
//! a user, or refuses to tell about one user only, that user lacks the part. If it refuses
//! before it has answered once, these requests end for the run.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::client::Request;
use super::list::Reader;
use super::losses::Losses;
use super::purpose::Purpose;
use super::record::Record;
use crate::manifest::listing::Detail;
use crate::source::{ErrorClass, SourceError};

/// The key under which the responses are added to a user's record.
const DETAILS: &str = "_details";
/// How many requests are sent at a time by default.
const DEFAULT_CONCURRENCY: u32 = 4;
/// The size limit for a response about a user, in bytes.
const MAX_RESPONSE: usize = 256 * 1024;

/// Which of the requests about users the application has answered or refused in this run.
#[derive(Default)]
pub(super) struct Details {
    /// The names of those that were answered at least once.
    answered: BTreeSet<String>,
    /// The names of those that were refused, and are not sent again.
    refused: BTreeSet<String>,
}

/// What the application said about one user.
enum Outcome {
    Found(Value),
    NotFound,
    Refused(SourceError),
}

impl Details {
    /// Adds to each record what the application says about this user.
    pub async fn complete(
        &mut self,
        reader: Reader<'_>,
        users: &mut [Record],
        losses: &mut Losses,
    ) -> Result<(), SourceError> {
        for (name, detail) in &reader.connection.manifest().users.details {
            let detail = &detail.value;
            let mut outcomes = Vec::new();
            if !self.refused.contains(name) {
                outcomes = request_all(reader, name, detail, users).await?;
                self.note(name, detail, &outcomes, losses)?;
            }
            let mut outcomes = outcomes.into_iter();
            for user in users.iter_mut() {
                match outcomes.next() {
                    Some(Outcome::Found(value)) => user.document.put(DETAILS, name, value),
                    Some(Outcome::NotFound | Outcome::Refused(_)) | None => user.unknown.extend(&detail.provides.0),
                }
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        name: &str,
        detail: &Detail,
        outcomes: &[Outcome],
        losses: &mut Losses,
    ) -> Result<(), SourceError> {
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Found(_))) {
            self.answered.insert(name.to_owned());
        }
        let refusal = outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Refused(error) => Some(error.clone()),
            Outcome::Found(_) | Outcome::NotFound => None,
        });
        if let Some(error) = refusal.filter(|_| !self.answered.contains(name)) {
            losses.note(&detail.provides.0, &detail.permission, error)?;
            self.refused.insert(name.to_owned());
        }
        Ok(())
    }
}

/// The outcomes in the order of `users`.
async fn request_all(
    reader: Reader<'_>,
    name: &str,
    detail: &Detail,
    users: &[Record],
) -> Result<Vec<Outcome>, SourceError> {
    let purpose = Purpose::Detail { name };
    let concurrency = reader.connection.manifest().rate_limit.concurrency.unwrap_or(DEFAULT_CONCURRENCY) as usize;
    let mut requests: Vec<BoxFuture<'_, Result<Outcome, SourceError>>> = Vec::with_capacity(users.len());
    for user in users {
        if detail.when.as_ref().is_none_or(|test| test.holds(&user.document)) {
            let request = reader.requests.detail(detail, user.document.value());
            let request = request.map_err(|clause| purpose.unbuildable(&clause))?;
            requests.push(Box::pin(request_one(reader, purpose, request)));
        } else {
            requests.push(Box::pin(ready(Ok(Outcome::NotFound))));
        }
    }
    stream::iter(requests).buffered(concurrency).try_collect().await
}

async fn request_one(reader: Reader<'_>, purpose: Purpose<'_>, request: Request) -> Result<Outcome, SourceError> {
    match reader.send(purpose, request).await {
        Ok(success) if success.size > MAX_RESPONSE => Err(purpose.unexpected("it is too long", success.http_status)),
        Ok(success) => Ok(Outcome::Found(success.json(purpose)?.into_value())),
        // Unless an error rule of the manifest says otherwise.
        Err(error) if error.class == ErrorClass::Config && matches!(error.http_status, Some(404 | 410)) => {
            Ok(Outcome::NotFound)
        }
        Err(error) if error.class == ErrorClass::Permission => Ok(Outcome::Refused(error)),
        Err(error) => Err(error),
    }
}
