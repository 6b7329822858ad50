//! How fresh an instance's users are, and what somebody should do about it.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};

use crate::clock::date_time;
use crate::graphql::written::Fields;
use crate::instance::freshness::{self, FreshnessState};
use crate::instance::notice::{self, RemedyAction, Severity};

/// Whether the users of an instance are up to date.
#[derive(SimpleObject, Fields)]
pub struct Freshness {
    /// The state in one word.
    state: FreshnessState,
    /// When the last successful run finished, or its list was delivered; null if none has.
    as_of: Option<DateTime<Utc>>,
    /// Since when the users are stale; null unless they are.
    stale_since: Option<DateTime<Utc>>,
}

impl Freshness {
    pub fn of(freshness: freshness::Freshness) -> Self {
        let freshness::Freshness { state, as_of, stale_since } = freshness;
        Freshness { state, as_of: as_of.map(date_time), stale_since: stale_since.map(date_time) }
    }
}

/// A problem of an instance, and what would help.
#[derive(SimpleObject, Fields)]
pub struct Notice {
    /// How urgent it is.
    severity: Severity,
    /// The problem in a few words.
    title: String,
    /// What happened and what it means, for a person.
    detail: String,
    /// Since when the problem exists.
    since: DateTime<Utc>,
    /// What would help, the most promising first.
    remedies: Vec<Remedy>,
}

/// An action that would help.
#[derive(SimpleObject, Fields)]
pub struct Remedy {
    /// What to do, for a person.
    label: String,
    /// The field of `Mutation` that does it; null if a person must do it in the connected application.
    mutation: Option<String>,
    /// What exactly a client does; null if a person must do it in the connected application.
    action: Option<RemedyAction>,
}

impl Notice {
    pub fn of(notice: notice::Notice) -> Self {
        let notice::Notice { severity, title, detail, since, remedies } = notice;
        let remedies = remedies
            .into_iter()
            .map(|notice::Remedy { label, action }| {
                let mutation = action.map(|action| action.mutation().to_owned());
                Remedy { label, mutation, action }
            })
            .collect();
        Notice { severity, title, detail, since: date_time(since), remedies }
    }
}
