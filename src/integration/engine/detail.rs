//! Calls per user, for what no list says.
//!
//! Some of them are under way at a time, as many as the manifest allows. A user of whom the
//! application knows nothing, or says nothing though it answers about others, has no such part;
//! if it refuses the first ones all, these calls end for the run.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::client::Call;
use super::join::Losses;
use super::request::Requests;
use super::select::Candidate;
use super::{HttpSource, Place};
use crate::manifest::listing::Detail;
use crate::source::{ErrorClass, SourceError};

/// Where a record has the answers of the calls for it.
const DETAILS: &str = "_details";
/// How many calls are under way if the manifest says nothing.
const CONCURRENCY: u32 = 4;
/// The longest answer about a user, in bytes.
const LONGEST: usize = 256 * 1024;
/// How many users are completed at a time, so that a large page shows signs of life.
pub(super) const SLICE: usize = 25;

/// What has become of the calls per user in a run, by name.
#[derive(Default)]
pub(super) struct Calls {
    /// Those that were answered once.
    answered: BTreeSet<String>,
    /// Those that were refused, and are not made again.
    refused: BTreeSet<String>,
}

/// What the application said of one user.
enum Said {
    Something(Value),
    Nothing,
    Refusal(SourceError),
}

impl HttpSource {
    /// Completes some of a page's users.
    pub(super) async fn complete(
        &self,
        requests: &Requests,
        users: &mut [Candidate],
        losses: &mut Losses,
        calls: &mut Calls,
    ) -> Result<(), SourceError> {
        for (name, detail) in &self.manifest.users.details {
            let detail = &detail.value;
            let mut said = Vec::new();
            if !calls.refused.contains(name) {
                said = self.ask_all(requests, Place::Detail { name }, detail, users).await?;
                if said.iter().any(|said| matches!(said, Said::Something(_))) {
                    calls.answered.insert(name.clone());
                }
                let refusal = said.iter().find_map(|said| match said {
                    Said::Refusal(error) => Some(error.clone()),
                    Said::Something(_) | Said::Nothing => None,
                });
                if let Some(error) = refusal.filter(|_| !calls.answered.contains(name)) {
                    losses.note(&detail.provides.0, &detail.permission, error)?;
                    calls.refused.insert(name.clone());
                }
            }
            let mut said = said.into_iter();
            for user in users.iter_mut() {
                match said.next() {
                    Some(Said::Something(answer)) => user.record.put(DETAILS, name, answer),
                    Some(Said::Nothing | Said::Refusal(_)) | None => user.blank.extend(&detail.provides.0),
                }
            }
        }
        Ok(())
    }

    async fn ask_all(
        &self,
        requests: &Requests,
        place: Place<'_>,
        detail: &Detail,
        users: &[Candidate],
    ) -> Result<Vec<Said>, SourceError> {
        let concurrency = self.manifest.rate_limit.concurrency.unwrap_or(CONCURRENCY) as usize;
        let mut calls: Vec<BoxFuture<'_, Result<Said, SourceError>>> = Vec::with_capacity(users.len());
        for user in users {
            if detail.when.as_ref().is_none_or(|test| test.holds(&user.record)) {
                let call = requests.detail(detail, &self.config, user.record.value());
                let call = call.map_err(|clause| place.unasked(&clause))?;
                calls.push(Box::pin(self.ask_one(place, call)));
            } else {
                calls.push(Box::pin(ready(Ok(Said::Nothing))));
            }
        }
        stream::iter(calls).buffered(concurrency).try_collect().await
    }

    async fn ask_one(&self, place: Place<'_>, call: Call) -> Result<Said, SourceError> {
        match self.ask(&place, call, false).await {
            Ok(answer) if answer.size > LONGEST => {
                Err(place.misfit("it is too long", ErrorClass::Config, Some(answer.http_status)))
            }
            Ok(answer) => Ok(Said::Something(answer.json(&place)?.into_value())),
            // Unless a rule of the manifest says otherwise.
            Err(error) if error.class == ErrorClass::Config && matches!(error.http_status, Some(404 | 410)) => {
                Ok(Said::Nothing)
            }
            Err(error) if error.class == ErrorClass::Permission => Ok(Said::Refusal(error)),
            Err(error) => Err(error),
        }
    }
}
