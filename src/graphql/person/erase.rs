//! The erasure of a person.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::page::int;
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::people::erase::Request;

/// The person to erase.
#[derive(InputObject)]
pub struct ErasePersonInput {
    /// The person.
    id: ID,
    /// Why, such as the number of a request; at most 500 characters. It is kept, so it must not name the person.
    reason: String,
    /// True to erase the person although a people source lists the person.
    force: Option<bool>,
    /// Must be true: what is known of the person cannot be restored.
    acknowledge_irreversible: bool,
}

/// The result of `erasePerson`.
#[derive(SimpleObject)]
pub struct ErasePersonPayload {
    /// How many accounts are nobody's now, and say nothing of the person; null if the person was not erased.
    accounts: Option<i32>,
    /// Why the person was not erased; empty if the person was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ErasePerson;

#[Object]
impl ErasePerson {
    /// Deletes everything that is known of a person, and keeps it away: the accounts stay in figures, without anything that
    /// tells whose they are, also if their applications list them in the next sync.
    async fn erase_person(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person to erase.")] input: ErasePersonInput,
    ) -> Result<ErasePersonPayload, ApiError> {
        let ErasePersonInput { id, reason, force, acknowledge_irreversible } = input;
        let api = ctx.data_unchecked::<Api>();
        let erased = async {
            let person = id::input(Kind::Person, &id, "id")?;
            let force = force.unwrap_or(false);
            let request = Request { person, reason, force, acknowledged: acknowledge_irreversible };
            Box::pin(api.people.erase(&request)).await
        };
        Ok(match split_refusals_about("id", erased.await)? {
            Ok(accounts) => ErasePersonPayload {
                accounts: Some(int(i64::try_from(accounts).unwrap_or(i64::MAX))),
                user_errors: Vec::new(),
            },
            Err(user_errors) => ErasePersonPayload { accounts: None, user_errors },
        })
    }
}
