//! What licences cost.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::instance::Status;
use uuid::Uuid;

use super::money::Money;
use super::of_instances;
use super::unpriced::{UnpricedLicenseConnection, UnpricedList};
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
use crate::graphql::written::{Fields, Written, fields};
use crate::instance::queries;
use crate::spend::facts::Key;
use crate::spend::money::Currency;
use crate::spend::report::{self, Bucket, Cost, GroupBy, Report};

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
    /// The application.
    async fn integration(&self) -> Written<Integration> {
        Written(Integration::beside(self.bucket.group.integration_key.clone(), self.relations.integrations.clone()))
    }

    /// The instance; null if the group is an application.
    async fn instance(&self, ctx: &Context<'_>) -> Option<Written<Instance>> {
        let (id, _) = self.bucket.group.license.as_ref()?;
        nullable(ctx, self.relations.instances.load(ctx.data_unchecked::<Api>(), InstanceById, id).await).map(Written)
    }

    /// The name of the licence; null if the group is an application.
    fn license(&self) -> Option<&str> {
        self.bucket.group.license.as_ref().map(|(_, name)| name.as_str())
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

/// By currency, the largest amount first.
pub struct BucketList {
    report: Arc<Report>,
}

/// The place of a group in its list: currency, amount, application and licence.
type Position = (String, i128, String, Option<Key>);

fn position(bucket: &Bucket, amount: i128) -> Position {
    let group = &bucket.group;
    (bucket.currency.code().to_owned(), amount, group.integration_key.clone(), group.license.clone())
}

impl List for BucketList {
    type Row = SpendBucket;
    type Position = Position;

    fn name(&self) -> Cow<'static, str> {
        "spend".into()
    }

    fn position(&self, row: &SpendBucket) -> Position {
        position(&row.bucket, row.amount)
    }
}

impl RootList for BucketList {
    async fn page(&self, _: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let mut page = Vec::new();
        for bucket in &self.report.buckets {
            let amount = bucket.cost.amount()?;
            let (currency, least, key, license) = position(bucket, amount);
            let comes_later =
                |after: &Position| (&currency, -least, &key, &license) > (&after.0, -after.1, &after.2, &after.3);
            if page.len() as u64 == limit {
                break;
            }
            if after.as_ref().is_none_or(comes_later) {
                page.push((bucket.clone(), amount));
            }
        }
        let groups = || page.iter().map(|(bucket, _)| &bucket.group);
        let relations = Arc::new(Relations {
            instances: Batch::new(groups().filter_map(|group| group.license.as_ref().map(|(instance, _)| *instance))),
            integrations: Arc::new(Batch::new(groups().map(|group| group.integration_key.clone()))),
        });
        let row = |(bucket, amount)| SpendBucket { bucket, amount, relations: relations.clone() };
        Ok(page.into_iter().map(row).collect::<Vec<_>>().into())
    }

    async fn total(&self, _: &Api) -> Result<Total, ApiError> {
        Ok(Total::of(self.report.buckets.len()))
    }
}

connection!(SpendBucketConnection, SpendBucketEdge, BucketList, "groups of costs");

pub struct Spend {
    report: Arc<Report>,
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

    /// The groups, by currency, the largest amount first.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn buckets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
    ) -> Result<Written<SpendBucketConnection>, ApiError> {
        let list = BucketList { report: self.report.clone() };
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
    /// the holders is paid for; without one, the holders are.
    #[graphql(complexity = "REPORT + child_complexity")]
    async fn spend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "By what the costs are grouped.")] group_by: GroupBy,
        #[graphql(desc = "Selects what costs something.")] filter: Option<SpendFilter>,
    ) -> Result<Spend, ApiError> {
        let api: &Api = ctx.data_unchecked();
        let SpendFilter { instance_id, integration_keys } = filter.unwrap_or_default();
        let filter = of_instances(api, instance_id, integration_keys)?;
        let now = api.instances.clock.now();
        let report = report::report(&api.instances.db, &filter, group_by, day_of(now)).await?;
        let stale = queries::Filter {
            ids: filter.instance_ids,
            integration_keys: filter.integration_keys,
            statuses: Some(Status::KEPT.to_vec()),
            stale: Some(true),
            seen: filter.seen,
            ..queries::Filter::default()
        };
        let stale = api.instances.total(&stale).await?.rows;
        Ok(Spend { report: Arc::new(report), evaluated_at: now, stale })
    }
}
