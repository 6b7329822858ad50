//! What licences cost.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::instance::Status;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Money;
use super::of_instances;
use super::unpriced::{UnpricedLicenseConnection, UnpricedList};
use crate::auth::Caller;
use crate::clock::date_time;
use crate::clock::day_of;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::integration::Integration;
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page::{self, int};
use crate::graphql::person::Person;
use crate::graphql::person::link::PersonById;
use crate::graphql::written::{Fields, Written, fields};
use crate::instance::queries;
use crate::spend::money::Currency;
use crate::spend::people::{self, Place};
use crate::spend::report::{self, Bucket, BucketKind, Cost, Group, GroupBy, Report};

/// The price of computing the costs of everything.
const REPORT: usize = 400;

/// What everything costs in one currency.
#[derive(SimpleObject, Fields)]
pub struct SpendTotal {
    /// The code of the currency by ISO 4217.
    currency: String,
    /// What it costs in a year: the sum of the three parts.
    amount: Money,
    /// The part for licences that somebody holds.
    held: Money,
    /// The part for seats that nobody holds.
    free_seats: Money,
    /// The part for seats of which it is not known whether somebody holds them.
    unknown_holders: Money,
    /// How many licences and seats are paid for.
    quantity: i32,
}

impl SpendTotal {
    fn of(currency: Currency, cost: Cost) -> Result<Self, ApiError> {
        let money = |minor| Money::of(currency, minor);
        Ok(Self {
            currency: currency.code().to_owned(),
            amount: money(cost.amount()?),
            held: money(cost.held),
            free_seats: money(cost.free),
            unknown_holders: money(cost.unknown),
            quantity: int(cost.quantity),
        })
    }
}

/// Shared by the groups of one report.
struct Relations {
    instances: Batch<Uuid>,
    integrations: Arc<Batch<String>>,
    people: Batch<Uuid>,
}

#[derive(Clone)]
pub struct SpendBucket {
    bucket: Bucket,
    amount: i128,
    relations: Arc<Relations>,
}

impl SpendBucket {
    fn money(&self, minor: i128) -> Money {
        Money::of(self.bucket.currency, minor)
    }
}

/// What a group costs in a year, in one currency. The groups of a currency add up to its total, each part for itself.
#[fields]
#[Object]
impl SpendBucket {
    /// What the group is of.
    fn kind(&self) -> BucketKind {
        self.bucket.group.kind()
    }

    /// The application; null unless the group is one, or a licence.
    async fn integration(&self) -> Option<Written<Integration>> {
        let key = integration_key(&self.bucket.group)?.clone();
        Some(Written(Integration::beside(key, self.relations.integrations.clone())))
    }

    /// The instance; null unless the group is a licence.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let Group::License { key: (id, _), .. } = &self.bucket.group else { return None };
        nullable(ctx, self.relations.instances.load(ctx.data_unchecked::<Api>(), InstanceById, id).await).map(Written)
    }

    /// The name of the licence; null unless the group is one.
    fn license(&self) -> Option<&str> {
        let Group::License { key: (_, name), .. } = &self.bucket.group else { return None };
        Some(name)
    }

    /// The department; null unless the group is one.
    fn department(&self) -> Option<&str> {
        let Group::Department(department) = &self.bucket.group else { return None };
        Some(department)
    }

    /// The person; null unless the group is one.
    async fn person(&self, ctx: &Context<'_>) -> Option<Written<Person>> {
        let Group::Person(id) = &self.bucket.group else { return None };
        nullable(ctx, self.relations.people.load(ctx.data_unchecked::<Api>(), PersonById, id).await).map(Written)
    }

    /// What it costs in a year: the sum of the three parts.
    fn amount(&self) -> Money {
        self.money(self.amount)
    }

    /// The part for licences that somebody holds.
    fn held(&self) -> Money {
        self.money(self.bucket.cost.held)
    }

    /// The part for seats that nobody holds.
    fn free_seats(&self) -> Money {
        self.money(self.bucket.cost.free)
    }

    /// The part for seats of which it is not known whether somebody holds them.
    fn unknown_holders(&self) -> Money {
        self.money(self.bucket.cost.unknown)
    }

    /// How many licences and seats are paid for.
    fn quantity(&self) -> i32 {
        int(self.bucket.cost.quantity)
    }
}

fn integration_key(group: &Group) -> Option<&String> {
    match group {
        Group::Application(key) | Group::License { integration_key: key, .. } => Some(key),
        Group::Department(_) | Group::Person(_) | Group::Rest(_) => None,
    }
}

/// By currency, the largest amount first. People follow, in the order of their ids.
pub struct BucketList {
    report: Arc<Report>,
    group_by: GroupBy,
}

/// The place of a group in its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// Currency, amount, and group.
    Amount(String, i128, Group),
    Person(Place),
}

fn position(bucket: &Bucket, amount: i128) -> Position {
    let currency = bucket.currency.code().to_owned();
    match &bucket.group {
        Group::Person(person) => Position::Person((*person, currency)),
        group => Position::Amount(currency, amount, group.clone()),
    }
}

impl List for BucketList {
    type Row = SpendBucket;
    type Position = Position;

    fn name(&self) -> Cow<'static, str> {
        match self.group_by {
            GroupBy::Application | GroupBy::License => "spend",
            GroupBy::Department => "spend by department",
            GroupBy::Person => "spend by person",
        }
        .into()
    }

    fn position(&self, row: &SpendBucket) -> Position {
        position(&row.bucket, row.amount)
    }
}

impl BucketList {
    /// The groups after a position that were computed already.
    fn computed(&self, after: Option<&Position>, limit: u64) -> Result<Vec<Bucket>, ApiError> {
        let mut page = Vec::new();
        for bucket in &self.report.buckets {
            if page.len() as u64 == limit {
                break;
            }
            let amount = bucket.cost.amount()?;
            let comes_later = match after {
                None => true,
                Some(Position::Amount(currency, least, group)) => {
                    (bucket.currency.code(), -amount, &bucket.group) > (currency.as_str(), -least, group)
                }
                Some(Position::Person(_)) => false,
            };
            if comes_later {
                page.push(bucket.clone());
            }
        }
        Ok(page)
    }
}

impl RootList for BucketList {
    async fn page(&self, api: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let mut page = self.computed(after.as_ref(), limit)?;
        let after = match &after {
            Some(Position::Person(place)) => Some(place),
            _ => None,
        };
        let left = limit.saturating_sub(page.len() as u64);
        let people = people::page(api.instances.db.read(), &self.report, after, left).await?;
        page.extend(people.buckets);
        let groups = || page.iter().map(|bucket| &bucket.group);
        let instance = |group: &Group| match group {
            Group::License { key: (instance, _), .. } => Some(*instance),
            _ => None,
        };
        let person = |group: &Group| match group {
            Group::Person(person) => Some(*person),
            _ => None,
        };
        let relations = Arc::new(Relations {
            instances: Batch::new(groups().filter_map(instance)),
            integrations: Arc::new(Batch::new(groups().filter_map(integration_key).cloned())),
            people: Batch::new(groups().filter_map(person)),
        });
        let mut rows = Vec::with_capacity(page.len());
        for bucket in page {
            rows.push(SpendBucket { amount: bucket.cost.amount()?, bucket, relations: relations.clone() });
        }
        Ok(PageRows { rows, rest: people.rest.map(Position::Person) })
    }

    /// People are not counted: they are more than the other groups.
    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        let computed = Total::of(self.report.buckets.len());
        let first = people::page(api.instances.db.read(), &self.report, None, 1).await?;
        Ok(Total { is_exact: first.buckets.is_empty() && first.rest.is_none(), ..computed })
    }
}

connection!(SpendBucketConnection, SpendBucketEdge, BucketList, "groups of costs");

pub struct Spend {
    report: Arc<Report>,
    group_by: GroupBy,
    evaluated_at: i64,
    stale: i64,
}

/// What licences cost in a year, at the prices of today. Amounts of different currencies are not added up.
#[Object]
impl Spend {
    /// When it was computed. The contracts in force are those of this day.
    async fn evaluated_at(&self) -> DateTime<Utc> {
        date_time(self.evaluated_at)
    }

    /// How many of the instances are stale. Their licences count as they were known last.
    async fn stale_instances(&self) -> i32 {
        int(self.stale)
    }

    /// The sum for each currency, in the order of their codes.
    fn totals(&self) -> Result<Vec<SpendTotal>, ApiError> {
        self.report.totals.iter().map(|(currency, cost)| SpendTotal::of(*currency, *cost)).collect()
    }

    /// The groups, by currency, the largest amount first. People come last, in the order of their ids; `totalCount` counts
    /// the groups before them only.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn buckets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<SpendBucketConnection>, ApiError> {
        let list = BucketList { report: self.report.clone(), group_by: self.group_by };
        Ok(Written(SpendBucketConnection(connection::root(ctx, list, first, after).await?)))
    }

    /// The licences and seats that no total contains.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn unpriced(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<UnpricedLicenseConnection>, ApiError> {
        let list = UnpricedList(self.report.clone());
        Ok(Written(UnpricedLicenseConnection(connection::root(ctx, list, first, after).await?)))
    }
}

/// Selects what costs something. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct SpendFilter {
    /// Licences of this instance.
    instance_id: Option<ID>,
    /// Licences of instances of one of these integrations.
    integration_keys: Option<Vec<String>>,
}

#[derive(Default)]
pub struct SpendQuery;

#[Object]
impl SpendQuery {
    /// What the licences of all instances cost in a year. With a contract in force, the larger number of its seats and of
    /// the holders is paid for; without one, the holders are. By departments and people, it is refused to a token that is
    /// limited to some instances; the role `REPORTS` sees no group of fewer than five people.
    #[graphql(complexity = "REPORT + child_complexity")]
    async fn spend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "By what the costs are grouped.")] group_by: GroupBy,
        #[graphql(desc = "Selects what costs something.")] filter: Option<SpendFilter>,
    ) -> Result<Spend, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        if api.seen.is_some() && matches!(group_by, GroupBy::Department | GroupBy::Person) {
            return Err(ApiError::Forbidden(
                "This token is limited to some instances, and people have accounts in all.",
            ));
        }
        let SpendFilter { instance_id, integration_keys } = filter.unwrap_or_default();
        let filter = of_instances(api, instance_id, integration_keys)?;
        let now = api.instances.clock.now();
        let report =
            report::report(&api.instances.db, &filter, group_by, caller.may_read_people(), day_of(now)).await?;
        let stale = queries::Filter {
            ids: filter.instance_ids,
            integration_keys: filter.integration_keys,
            statuses: Some(Status::KEPT.to_vec()),
            stale: Some(true),
            seen: filter.seen,
            ..queries::Filter::default()
        };
        let stale = api.instances.total(&stale).await?.rows;
        Ok(Spend { report: Arc::new(report), group_by, evaluated_at: now, stale })
    }
}
