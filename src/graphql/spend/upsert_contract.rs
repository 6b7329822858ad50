use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::contract::Contract;
use super::money::{Date, Decimal};
use crate::auth::Caller;
use crate::error::Result;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::spend::contracts::{self, NewContract, NewLine};
use crate::spend::facts::Filter;
use crate::spend::renewals;

/// A contract as a whole. What it replaces is gone, with all its lines.
#[derive(InputObject)]
pub struct UpsertContractInput {
    /// The contract to change; a new one is created if it is left out or null.
    id: Option<ID>,
    /// The instance whose licences it is about. A contract stays with its instance.
    instance_id: ID,
    /// The name, from 1 to 200 characters; unique among the contracts of the instance.
    name: String,
    /// The code of the currency of its prices by ISO 4217, such as `EUR`.
    currency: String,
    /// How many months its prices are for, from 1 to 120: 1 for monthly prices, 12 for yearly ones.
    #[graphql(default = 12)]
    billing_months: i32,
    /// The first day.
    starts_on: Date,
    /// The last day.
    ends_on: Date,
    /// How many days before the end notice must be given, from 0 to 730.
    #[graphql(default = 0)]
    notice_days: i32,
    /// From 1 to 100 lines, each about another licence.
    lines: Vec<ContractLineInput>,
    /// If the contract is no longer at this revision, it is not changed.
    expected_revision: Option<i32>,
}

/// The seats of one licence. Without a price, that of `setPrice` counts.
#[derive(InputObject)]
pub struct ContractLineInput {
    /// The name of the licence, exactly as the application writes it.
    license: String,
    /// How many seats there are. With 0, only those who hold the licence are paid for.
    seats: i32,
    /// What one seat costs.
    unit_price: Option<Decimal>,
    /// What all seats cost.
    total_price: Option<Decimal>,
}

/// The result of `upsertContract`.
#[derive(SimpleObject)]
pub struct UpsertContractPayload {
    /// The contract as it is now; null if it was refused.
    contract: Option<Contract>,
    /// Why it was refused; empty if it was not.
    user_errors: Vec<UserError>,
}

impl UpsertContractInput {
    /// The ids must be of something that the caller sees.
    async fn decode(self, api: &Api) -> Result<NewContract> {
        let instance_id = api.admit(id::input(Kind::Instance, &self.instance_id, "instanceId")?).await?;
        let id = match self.id {
            Some(id) => {
                let id = id::input(Kind::Contract, &id, "id")?;
                let own = contracts::instance_of(&api.instances, id).await?;
                if !api.sees(own).await? {
                    return Err(contracts::not_found());
                }
                Some(id)
            }
            None => None,
        };
        let line = |line: ContractLineInput| NewLine {
            license: line.license,
            seats: line.seats,
            unit_price: line.unit_price.map(|Decimal(text)| text),
            total_price: line.total_price.map(|Decimal(text)| text),
        };
        Ok(NewContract {
            id,
            instance_id,
            name: self.name,
            currency: self.currency,
            months: self.billing_months,
            starts_on: self.starts_on.0,
            ends_on: self.ends_on.0,
            notice_days: self.notice_days,
            lines: self.lines.into_iter().map(line).collect(),
            expected_revision: self.expected_revision,
        })
    }
}

#[derive(Default)]
pub struct UpsertContract;

#[Object]
impl UpsertContract {
    /// Creates a contract, or replaces one as a whole. Before its last day for notice, reminders are mailed.
    async fn upsert_contract(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The contract.")] input: UpsertContractInput,
    ) -> Result<UpsertContractPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let stored = async {
            let given = input.decode(api).await?;
            let id = contracts::upsert(&api.instances, caller, &given).await?;
            renewals::find(api.instances.db.read(), id, &Filter::default()).await
        };
        Ok(match split_refusals_about("instanceId", stored.await)? {
            Ok(model) => {
                let contract = Contract::list(model.into_iter().collect()).pop();
                UpsertContractPayload { contract, user_errors: Vec::new() }
            }
            Err(user_errors) => UpsertContractPayload { contract: None, user_errors },
        })
    }
}
