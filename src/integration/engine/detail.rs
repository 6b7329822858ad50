//! Calls per user, for what no list says.
//!
//! Some of them are under way at a time, as many as the manifest allows. A user of whom the
//! application knows nothing has no such part; a refusal ends these calls for the run.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::client::Call;
use super::join::Losses;
use super::select::Candidate;
use super::{HttpSource, Opened, Place};
use crate::integration::manifest::listing::Detail;
use crate::integration::source::SourceError;

/// Where a record has the answers of the calls for it.
const DETAILS: &str = "_details";
/// How many calls are under way if the manifest says nothing.
const CONCURRENCY: u32 = 4;

impl HttpSource {
    /// Completes a page's users. `refused` are the calls that the application has refused.
    pub(super) async fn complete(
        &self,
        opened: &Opened,
        mut users: Vec<Candidate>,
        losses: &mut Losses,
        refused: &mut BTreeSet<String>,
    ) -> Result<Vec<Candidate>, SourceError> {
        for (name, detail) in &self.manifest.users.details {
            let detail = &detail.value;
            if !refused.contains(name) {
                match self.ask_all(opened, name, detail, &users).await {
                    Ok(answers) => {
                        for (user, answer) in users.iter_mut().zip(answers) {
                            match answer {
                                Some(answer) => user.record.put(DETAILS, name, answer),
                                None => user.blank.extend(&detail.provides.0),
                            }
                        }
                        continue;
                    }
                    Err(error) => {
                        losses.note(&detail.provides.0, &detail.permission, error)?;
                        refused.insert(name.clone());
                    }
                }
            }
            for user in &mut users {
                user.blank.extend(&detail.provides.0);
            }
        }
        Ok(users)
    }

    async fn ask_all(
        &self,
        opened: &Opened,
        name: &str,
        detail: &Detail,
        users: &[Candidate],
    ) -> Result<Vec<Option<Value>>, SourceError> {
        let concurrency = self.manifest.rate_limit.concurrency.unwrap_or(CONCURRENCY) as usize;
        let place = Place::Detail { name };
        let mut calls: Vec<BoxFuture<'_, Result<Option<Value>, SourceError>>> = Vec::with_capacity(users.len());
        for user in users {
            if detail.when.as_ref().is_none_or(|test| test.holds(&user.record)) {
                let call = opened.requests.detail(detail, &self.config, user.record.value());
                let call = call.map_err(|clause| place.unasked(&clause))?;
                calls.push(Box::pin(self.ask_one(place, call)));
            } else {
                calls.push(Box::pin(ready(Ok(None))));
            }
        }
        stream::iter(calls).buffered(concurrency).try_collect().await
    }

    async fn ask_one(&self, place: Place<'_>, call: Call) -> Result<Option<Value>, SourceError> {
        match self.ask(&place, call, false).await {
            Ok(answer) => Ok(Some(answer.json(&place)?.into_value())),
            Err(error) if matches!(error.http_status, Some(404 | 410)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
