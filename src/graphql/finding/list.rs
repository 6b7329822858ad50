//! Lists of findings.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use entity::finding::{Kind, Severity};
use uuid::Uuid;

use super::Finding;
use crate::clock::date_time;
use crate::db::Total;
use crate::findings::queries::{self, Filter, HOLDS, State};
use crate::graphql::api::Api;
use crate::graphql::batch::{Relation, regroup};
use crate::graphql::connection::{self, connection};
use crate::graphql::error::ApiError;
use crate::graphql::id;
use crate::graphql::list::{List, NestedList, PageRows, Parent, RootList};
use crate::graphql::page;
use crate::graphql::user::User;
use crate::graphql::written::Written;

/// Selects findings. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct FindingFilter {
    /// Findings of one of these types.
    types: Option<Vec<Kind>>,
    /// Findings of one of these severities.
    severities: Option<Vec<Severity>>,
    /// Findings about accounts of one of these instances.
    instance_ids: Option<Vec<ID>>,
    /// Findings about the accounts of this person. A token that is limited to some instances may not ask for a person.
    person_id: Option<ID>,
    /// Findings in one of these states; `OPEN` and `EXCEPTED` by default.
    states: Option<Vec<State>>,
    /// Findings that were found at this time or later.
    opened_since: Option<DateTime<Utc>>,
}

/// The newest comes first.
#[derive(Clone, PartialEq)]
pub struct FindingList(Filter);

impl FindingList {
    pub fn new(api: &Api, filter: Option<FindingFilter>) -> Result<Self, ApiError> {
        let FindingFilter { types, severities, instance_ids, person_id, states, opened_since } =
            filter.unwrap_or_default();
        if person_id.is_some() && api.seen.is_some() {
            let reason = "This token is limited to some instances, and people have accounts in all of them.";
            return Err(ApiError::Forbidden(reason));
        }
        let instances = page::bounded(instance_ids, "instanceIds")?;
        let instances = instances.map(|ids| ids.iter().map(|id| id::argument(id::Kind::Instance, id)).collect());
        Ok(Self(Filter {
            kinds: distinct(types),
            severities,
            instances: distinct(instances.transpose()?),
            person: person_id.map(|id| id::argument(id::Kind::Person, &id)).transpose()?,
            states: distinct(states).unwrap_or_else(|| HOLDS.into()),
            opened_since: opened_since.map(|at| at.timestamp_millis()),
            seen: api.seen.clone(),
        }))
    }
}

/// Each value once, because each is a part of the page.
fn distinct<T: Ord>(values: Option<Vec<T>>) -> Option<Vec<T>> {
    let mut values = values?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

impl List for FindingList {
    type Row = Finding;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "findings".into()
    }

    fn position(&self, finding: &Finding) -> Uuid {
        finding.key()
    }
}

impl RootList for FindingList {
    async fn page(&self, api: &Api, after: Option<Uuid>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let now = api.findings.clock.now();
        Ok(Finding::list(queries::page(api.findings.db.read(), &self.0, now, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(queries::total(api.findings.db.read(), &self.0, api.findings.clock.now()).await?)
    }
}

impl NestedList for FindingList {
    type Parent = User;

    async fn pages(
        &self,
        api: &Api,
        users: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let now = api.findings.clock.now();
        let found = queries::pages_by_user(api.findings.db.read(), users, &self.0, now, after, limit).await?;
        Ok(regroup(found, Finding::list))
    }

    async fn totals(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        Ok(queries::totals_by_user(api.findings.db.read(), users, &self.0, api.findings.clock.now()).await?)
    }
}

/// What a page of findings is of.
pub enum Among {
    All(FindingList),
    Account(User),
}

connection!(FindingConnection(Among), FindingEdge, FindingList, "findings", {
    /// When the accounts of these instances were last looked at: of several instances, the oldest, as `Basis.evaluatedAt`
    /// says it of the figures. Null if they never were.
    #[graphql(complexity = "page::EVALUATED")]
    async fn evaluated_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let api: &Api = ctx.data_unchecked();
        let at = match &self.1 {
            Among::All(list) => queries::evaluated_at(api.findings.db.read(), &list.0).await?,
            Among::Account(user) => user.batch().load(api, EvaluatedOf, &user.key()).await?,
        };
        Ok(at.map(date_time))
    }
});

/// When each of several accounts was last looked at.
#[derive(PartialEq)]
struct EvaluatedOf;

impl Relation for EvaluatedOf {
    type Key = Uuid;
    type Value = i64;

    async fn fetch(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, i64>, ApiError> {
        Ok(queries::evaluated_at_by_user(api.findings.db.read(), users).await?)
    }
}

#[derive(Default)]
pub struct FindingQuery;

#[Object]
impl FindingQuery {
    /// The findings, the newest first. `totalCount` is exact for a filter with types and instances only.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects findings.")] filter: Option<FindingFilter>,
    ) -> Result<Written<FindingConnection>, ApiError> {
        let list = FindingList::new(ctx.data_unchecked(), filter)?;
        let page = connection::root(ctx, list.clone(), first, after).await?;
        Ok(Written(FindingConnection(page, Among::All(list))))
    }
}
