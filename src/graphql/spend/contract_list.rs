//! The list of contracts.

use std::borrow::Cow;

use async_graphql::{Context, ID, InputObject, Object};

use super::contract::Contract;
use super::money::Date;
use super::{of_instances, today};
use crate::clock::day_of_date;
use crate::db::Total;
use crate::graphql::api::Api;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::ApiError;
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;
use crate::spend::renewals::{self, Filter, Position};

/// Selects contracts. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct RenewalFilter {
    /// Contracts of this instance.
    instance_id: Option<ID>,
    /// Contracts of instances of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// Contracts whose `noticeBy` is this day or an earlier one.
    notice_by: Option<Date>,
    /// True to include contracts that are over.
    include_ended: Option<bool>,
}

/// In the order of the last days for notice.
pub struct ContractList(Filter);

impl List for ContractList {
    type Row = Contract;
    type Position = Position;

    fn name(&self) -> Cow<'static, str> {
        "renewals".into()
    }

    fn position(&self, contract: &Contract) -> Position {
        (contract.model.notice_by, contract.model.id)
    }
}

impl RootList for ContractList {
    async fn page(&self, api: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        let (reader, today) = (api.instances.db.read(), today(api));
        Ok(Contract::list(renewals::page(reader, &self.0, today, after, limit).await?).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        let (reader, today) = (api.instances.db.read(), today(api));
        Ok(renewals::total(reader, &self.0, today).await?)
    }
}

connection!(ContractConnection, ContractEdge, ContractList, "contracts");

#[derive(Default)]
pub struct RenewalQuery;

#[Object]
impl RenewalQuery {
    /// The contracts that are not over, in the order of the last days on which notice can be given.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn renewals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects contracts.")] filter: Option<RenewalFilter>,
    ) -> Result<Written<ContractConnection>, ApiError> {
        let RenewalFilter { instance_id, integration_keys, notice_by, include_ended } = filter.unwrap_or_default();
        let list = ContractList(Filter {
            of: of_instances(ctx.data_unchecked(), instance_id, integration_keys)?,
            notice_by: notice_by.map(|Date(date)| day_of_date(date)),
            include_ended: include_ended.unwrap_or(false),
        });
        Ok(Written(ContractConnection(connection::root(ctx, list, first, after).await?)))
    }
}
