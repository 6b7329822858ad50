//! Licences: the type, and its list.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::money::{LicensePrice, Money};
use super::{of_instances, today};
use crate::clock::date_time;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::batch::Batch;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::instance::{Instance, InstanceById};
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page::{self, int};
use crate::graphql::written::{Fields, Written, fields};
use crate::spend::facts::{self, Filter, Key, Known};
use crate::spend::licenses;
use crate::spend::money::add;
use crate::spend::reclaim::Reason;

#[derive(Clone)]
pub struct License {
    known: Arc<facts::License>,
    instances: Arc<Batch<Uuid>>,
}

impl License {
    /// Rows of one list.
    fn list(licenses: Vec<facts::License>) -> Vec<License> {
        let instances = Arc::new(Batch::new(licenses.iter().map(|license| license.instance_id)));
        let row = |known| License { known: Arc::new(known), instances: instances.clone() };
        licenses.into_iter().map(row).collect()
    }

    fn costs(&self) -> Result<Option<Vec<Money>>, ApiError> {
        let mut costs: Vec<(_, i128)> = Vec::new();
        for line in self.known.bill()?.lines {
            let amount = line.cost.amount()?;
            match costs.iter_mut().find(|(known, _)| *known == line.currency) {
                Some((_, sum)) => *sum = add(*sum, amount)?,
                None => costs.push((line.currency, amount)),
            }
        }
        let costs: Vec<Money> = costs.into_iter().map(|(currency, amount)| Money::of(currency, amount)).collect();
        Ok(Some(costs).filter(|costs| !costs.is_empty()))
    }

    /// A single row, which is not part of a list.
    pub fn one(known: facts::License) -> License {
        let instances = Arc::new(Batch::new([known.instance_id]));
        License { known: Arc::new(known), instances }
    }
}

/// The holders of a licence by the status of their accounts.
#[derive(SimpleObject, Fields)]
pub struct LicenseHolders {
    /// Accounts that can sign in.
    active: i32,
    /// Disabled accounts.
    suspended: i32,
    /// Accounts of people who were invited and have not joined yet.
    invited: i32,
    /// Accounts whose status the application has not told.
    unknown: i32,
}

/// The licences that can be taken back. Each holder counts for the first reason that holds, so that the parts add up.
#[derive(SimpleObject, Fields)]
pub struct Reclaimable {
    /// How many there are.
    count: i32,
    /// How many further holders there are of whom it is not known.
    unknown: i32,
    /// The same for each reason, in their order.
    parts: Vec<ReclaimablePart>,
}

/// The licences that can be taken back for one reason.
#[derive(SimpleObject, Fields)]
pub struct ReclaimablePart {
    /// The reason.
    reason: Reason,
    /// How many holders it is true of.
    count: i32,
    /// Of how many it is not known, because the application has not told it.
    unknown: i32,
}

impl Reclaimable {
    fn of(license: &facts::License) -> Self {
        let Known { count, unknown } = license.reclaimable();
        let part = |reason| {
            let Known { count, unknown } = license.reclaimable_for(reason);
            ReclaimablePart { reason, count: int(count), unknown: int(unknown) }
        };
        Self { count: int(count), unknown: int(unknown), parts: Reason::ALL.map(part).into() }
    }
}

/// A licence of an instance: one that somebody holds, that has a price, or that a contract has which is not over.
#[fields]
#[Object]
impl License {
    /// The instance.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Written<Instance>, ApiError> {
        InstanceById::of_row(&self.instances, ctx, self.known.instance_id, "a licence").await.map(Written)
    }

    /// The name, as the application writes it.
    fn name(&self) -> &str {
        &self.known.name
    }

    /// How many accounts hold it, whatever their status. Null if the application has not told the licences of any account,
    /// or if they have not been counted yet.
    fn assigned(&self) -> Option<i32> {
        self.known.assigned().map(int)
    }

    /// The holders by the status of their accounts; null if `assigned` is.
    fn holders(&self) -> Option<LicenseHolders> {
        self.known.assigned()?;
        let of = |status: fn(&entity::license_count::Model) -> i64| int(self.known.count.as_ref().map_or(0, status));
        Some(LicenseHolders {
            active: of(|count| count.active),
            suspended: of(|count| count.suspended),
            invited: of(|count| count.invited),
            unknown: of(|count| count.unknown),
        })
    }

    /// How many accounts of the instance may hold it or not, because the application has not told their licences. Null if
    /// they have not been counted yet.
    fn unknown_holders(&self) -> Option<i32> {
        self.known.tally.as_ref().map(|tally| int(tally.untold))
    }

    /// How many seats the contracts in force have. Null without a contract, which does not mean that there is no limit.
    fn seats(&self) -> Option<i32> {
        self.known.seats().map(int)
    }

    /// How many seats nobody holds; null if `assigned` or `seats` is.
    fn free(&self) -> Option<i32> {
        self.known.free().map(int)
    }

    /// How many accounts hold it beyond the seats; null if `assigned` or `seats` is.
    fn over(&self) -> Option<i32> {
        self.known.over().map(int)
    }

    /// The licences that can be taken back.
    fn reclaimable(&self) -> Reclaimable {
        Reclaimable::of(&self.known)
    }

    /// The price that `setPrice` has set. A contract in force may have another one, which then counts.
    fn price(&self) -> Option<LicensePrice> {
        self.known.price.as_ref().map(|(price, row)| LicensePrice::of(*price, row))
    }

    /// What it costs in a year, with free seats: an amount for each currency. Null if it has no price.
    async fn annual_costs(&self, ctx: &Context<'_>) -> Option<Vec<Money>> {
        nullable(ctx, self.costs())
    }

    /// As of when the holders are known: the start of the last run that read all licences. Null if none has.
    fn as_of(&self) -> Option<DateTime<Utc>> {
        self.known.tally.as_ref()?.as_of.map(date_time)
    }

    /// As of when the last activity of the holders is known. `INACTIVE` and `NEVER` are measured against this time.
    fn activity_as_of(&self) -> Option<DateTime<Utc>> {
        self.known.tally.as_ref()?.activity_as_of.map(date_time)
    }

    /// When the holders were counted, which is right after a run; null if they have not been counted yet.
    fn counted_at(&self) -> Option<DateTime<Utc>> {
        self.known.tally.as_ref().map(|tally| date_time(tally.counted_at))
    }
}

/// Selects licences. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct LicenseFilter {
    /// Licences of this instance.
    instance_id: Option<ID>,
    /// Licences of instances of one of these integrations.
    integration_keys: Option<Vec<String>>,
}

/// In the order of instances and names.
pub struct LicenseList(Filter);

impl List for LicenseList {
    type Row = License;
    type Position = Key;

    fn name(&self) -> Cow<'static, str> {
        "licenses".into()
    }

    fn position(&self, license: &License) -> Key {
        (license.known.instance_id, license.known.name.clone())
    }
}

impl RootList for LicenseList {
    async fn page(&self, api: &Api, after: Option<Key>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let (db, today) = (&api.instances.db, today(api));
        Ok(License::list(licenses::page(db, &self.0, today, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        let (reader, today) = (api.instances.db.read(), today(api));
        Ok(licenses::total(reader, &self.0, today).await?)
    }
}

connection!(LicenseConnection, LicenseEdge, LicenseList, "licences");

#[derive(Default)]
pub struct LicenseQuery;

#[Object]
impl LicenseQuery {
    /// The licences of all instances that are not deleted: how many are held, paid for and free, and which can be taken
    /// back. They are counted when a run ends.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn licenses(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects licences.")] filter: Option<LicenseFilter>,
    ) -> Result<Written<LicenseConnection>, ApiError> {
        let LicenseFilter { instance_id, integration_keys } = filter.unwrap_or_default();
        let list = LicenseList(of_instances(ctx.data_unchecked(), instance_id, integration_keys)?);
        Ok(Written(LicenseConnection(connection::root(ctx, list, first, after).await?)))
    }
}
