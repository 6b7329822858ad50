//! How many instances there are, and in which state.

use std::collections::HashMap;

use async_graphql::{Context, SimpleObject};

use crate::graphql::answers::holds_until;
use crate::graphql::api::Api;
use crate::graphql::batch::Relation;
use crate::graphql::error::ApiError;
use crate::graphql::page::int;
use crate::graphql::written::Fields;
use crate::instance::counts::Counts;
use crate::instance::queries::Filter;
use crate::instance::standing::Headline;

/// The price of counting all instances that match.
pub const OF_ALL: usize = 400;
/// The price of the counts of one integration, which are counted together for all rows of a list.
pub const OF_INTEGRATION: usize = 20;

/// How many instances there are, and in which state.
#[derive(SimpleObject, Fields)]
pub struct InstanceCounts {
    /// All of them.
    total: i32,
    /// How many have each headline: all headlines, in the order of their precedence, also those that none has.
    by_headline: Vec<InstanceHeadlineCount>,
    /// Those whose users are stale.
    stale: i32,
    /// Those that somebody should look at, see `Instance.needsAttention`.
    needs_attention: i32,
}

/// How many instances have one headline.
#[derive(SimpleObject, Fields)]
pub struct InstanceHeadlineCount {
    /// The headline.
    headline: Headline,
    /// How many instances have it.
    count: i32,
}

impl InstanceCounts {
    pub fn of(ctx: &Context<'_>, counts: &Counts) -> Self {
        if let Some(change) = counts.changes_at {
            holds_until(ctx, change);
        }
        let number = |headline| counts.by_headline.iter().find(|(known, _)| *known == headline).map_or(0, |(_, n)| *n);
        let by_headline =
            Headline::all().map(|headline| InstanceHeadlineCount { headline, count: int(number(headline)) });
        InstanceCounts {
            total: int(counts.total()),
            by_headline: by_headline.collect(),
            stale: int(counts.stale),
            needs_attention: int(counts.need_attention),
        }
    }
}

/// The counts of the integrations of a list.
#[derive(PartialEq)]
pub struct CountsOfIntegration;

impl Relation for CountsOfIntegration {
    type Key = String;
    type Value = Counts;

    async fn fetch(&self, api: &Api, keys: &[String]) -> Result<HashMap<String, Counts>, ApiError> {
        let filter = Filter { seen: api.seen.clone(), ..Filter::default() };
        Ok(api.instances.counts_by_integration(keys, &filter).await?)
    }
}
