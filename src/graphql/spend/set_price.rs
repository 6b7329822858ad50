use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::license::License;
use super::money::Decimal;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::spend::prices::{self, NewPrice};

/// The price of a licence.
#[derive(InputObject)]
pub struct SetPriceInput {
    /// The instance.
    instance_id: ID,
    /// The name of the licence, exactly as the application writes it. It may be one that nobody holds yet.
    license: String,
    /// The price. If it is left out or null, the licence has no price any more.
    price: Option<PriceInput>,
}

/// A price: either of one seat, or in total for several.
#[derive(InputObject)]
pub struct PriceInput {
    /// The code of the currency by ISO 4217, such as `EUR`.
    currency: String,
    /// What one seat costs.
    unit_price: Option<Decimal>,
    /// What all `seats` cost.
    total_price: Option<Decimal>,
    /// How many seats the total is for.
    seats: Option<i32>,
    /// How many months the price is for, from 1 to 120: 1 for a monthly price, 12 for a yearly one.
    #[graphql(default = 12)]
    billing_months: i32,
}

/// The result of `setPrice`.
#[derive(SimpleObject)]
pub struct SetPricePayload {
    /// The licence as it is now; null if the price was refused.
    license: Option<License>,
    /// Why the price was not set; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct SetPrice;

#[Object]
impl SetPrice {
    /// Sets the price of a licence of an instance, or removes it. A price in a contract in force counts first.
    async fn set_price(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The price.")] input: SetPriceInput,
    ) -> Result<SetPricePayload, ApiError> {
        let SetPriceInput { instance_id, license, price } = input;
        let api = ctx.data_unchecked::<Api>();
        let price = price.map(|price| NewPrice {
            currency: price.currency,
            unit_price: price.unit_price.map(|Decimal(text)| text),
            total_price: price.total_price.map(|Decimal(text)| text),
            seats: price.seats,
            months: price.billing_months,
        });
        let set = async {
            let id = api.admit(id::input(Kind::Instance, &instance_id, "instanceId")?).await?;
            prices::set(&api.instances, id, &license, price.as_ref()).await
        };
        Ok(match split_refusals_about("instanceId", set.await)? {
            Ok(license) => SetPricePayload { license: license.map(License::one), user_errors: Vec::new() },
            Err(user_errors) => SetPricePayload { license: None, user_errors },
        })
    }
}
