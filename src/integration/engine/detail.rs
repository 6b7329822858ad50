//! Requests about single users, for data that no list contains.
//!
//! As many are sent at a time as the manifest allows. If the application does not know a user, or refuses the request
//! for one user only, that user lacks the part. If it refuses, or knows none of the users, before it has answered
//! once, these requests end for the run. They also end if it does not answer within the time for an optional part.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::client::Request;
use super::list::Reader;
use super::losses::Losses;
use super::purpose::Purpose;
use super::record::Record;
use crate::manifest::listing::{Detail, UserList};
use crate::source::{Advice, ErrorClass, SourceError};

/// The key under which the responses are added to a user's record.
pub(super) const DETAILS: &str = "_details";
/// How many requests are sent at a time by default.
const DEFAULT_CONCURRENCY: u32 = 4;
/// The size limit for a response about a user, in bytes.
const MAX_RESPONSE: usize = 256 * 1024;
/// If the application knows none of this many users, and has known no user before, it does not support the request.
const UNKNOWN_TO_END: usize = 3;

/// Which of the requests about users the application has answered or refused in this run.
#[derive(Default)]
pub(super) struct Details {
    /// The names of those that were answered at least once.
    answered: BTreeSet<String>,
    /// The names of those that are not sent again.
    ended: BTreeSet<String>,
}

/// What the application said about one user.
enum Outcome {
    Found(Value),
    /// The manifest does not ask about this user.
    NotAsked,
    NotFound(SourceError),
    /// Refused for this user only.
    Refused(SourceError),
    /// Refused for all users.
    Broken(SourceError),
}

impl Details {
    /// Adds to each record what the application says about its user.
    pub async fn complete(
        &mut self,
        reader: Reader<'_>,
        list: &UserList,
        users: &mut [Record],
        losses: &mut Losses,
    ) -> Result<(), SourceError> {
        let details = reader.connection.manifest().users.details.iter();
        for (name, detail) in details.filter(|(name, _)| list.details.contains(*name)) {
            let detail = &detail.value;
            let mut outcomes = Vec::new();
            if !self.ended.contains(name) {
                outcomes = request_all(reader, name, detail, users).await?;
                self.note(name, detail, &outcomes, losses)?;
            }
            let mut outcomes = outcomes.into_iter();
            for user in users.iter_mut() {
                match outcomes.next() {
                    Some(Outcome::Found(value)) => user.document.put(DETAILS, name, value),
                    Some(Outcome::NotAsked) => user.untold.extend(&detail.provides.0),
                    None if !is_wanted(detail, user) => user.untold.extend(&detail.provides.0),
                    Some(Outcome::NotFound(_) | Outcome::Refused(_) | Outcome::Broken(_)) | None => {
                        user.unknown.extend(&detail.provides.0);
                    }
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
        let unknown = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::NotFound(_))).count();
        let knows_nobody = unknown >= UNKNOWN_TO_END && !self.answered.contains(name);
        let refusals = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Refused(error) => Some((error, false)),
            Outcome::Broken(error) => Some((error, true)),
            Outcome::NotFound(error) if knows_nobody => Some((error, false)),
            Outcome::Found(_) | Outcome::NotAsked | Outcome::NotFound(_) => None,
        });
        for (error, broken) in refusals {
            if broken || !self.answered.contains(name) {
                losses.note(&detail.provides.0, &detail.permission, error.clone())?;
                self.ended.insert(name.to_owned());
            } else if error.class != ErrorClass::Permission {
                losses.note_single(&detail.provides.0, &detail.permission, error.clone())?;
            }
        }
        Ok(())
    }
}

fn is_wanted(detail: &Detail, user: &Record) -> bool {
    detail.when.as_ref().is_none_or(|test| test.holds(&user.document))
}

/// The outcomes in the order of `users`, up to the first after which no more requests are sent.
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
        if is_wanted(detail, user) {
            requests.push(match reader.requests.detail(detail, user.document.value()) {
                Ok(request) => Box::pin(request_one(reader, purpose, request)),
                Err(clause) => Box::pin(ready(Ok(Outcome::Refused(purpose.unbuildable(&clause))))),
            });
        } else {
            requests.push(Box::pin(ready(Ok(Outcome::NotAsked))));
        }
    }
    let mut answers = stream::iter(requests).buffered(concurrency);
    let mut outcomes = Vec::with_capacity(users.len());
    while let Some(outcome) = answers.next().await {
        let outcome = outcome?;
        let ended = matches!(outcome, Outcome::Broken(_));
        outcomes.push(outcome);
        if ended {
            break;
        }
    }
    Ok(outcomes)
}

/// Returns an error only if the run cannot continue after it.
async fn request_one(reader: Reader<'_>, purpose: Purpose<'_>, request: Request) -> Result<Outcome, SourceError> {
    let answer = reader.send(purpose, request).await.and_then(|success| {
        if success.size > MAX_RESPONSE {
            return Err(purpose.unexpected("it is too long", success.http_status));
        }
        success.json(purpose)
    });
    let error = match answer {
        Ok(body) => return Ok(Outcome::Found(body.into_value())),
        Err(error) => error,
    };
    match error.class {
        _ if error.definite || error.advice == Advice::SignIn => Err(error),
        ErrorClass::Overdue | ErrorClass::Internal => Err(error),
        // Unless an error rule of the manifest says otherwise.
        ErrorClass::Config if matches!(error.http_status, Some(404 | 410)) => Ok(Outcome::NotFound(error)),
        ErrorClass::Config | ErrorClass::Permission => Ok(Outcome::Refused(error)),
        ErrorClass::Token | ErrorClass::RateLimit | ErrorClass::Transient | ErrorClass::Timeout => {
            Ok(Outcome::Broken(error))
        }
    }
}
