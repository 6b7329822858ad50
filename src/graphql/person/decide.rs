//! What members decide about single accounts.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use entity::user::AccountKind;

use crate::auth::Caller;
use crate::directory::users;
use crate::error::{Error, Refusal};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user::User;
use crate::graphql::user_error::{UserError, split_refusals_about};
use crate::people::pins::{Decider, Decision};

/// An account, and the person whose it is.
#[derive(InputObject)]
pub struct LinkAccountInput {
    /// The account.
    user_id: ID,
    /// The person.
    person_id: ID,
    /// Why; at most 500 characters. It is shown as the evidence.
    reason: Option<String>,
}

/// An account that is to be taken from its person.
#[derive(InputObject)]
pub struct UnlinkAccountInput {
    /// The account.
    user_id: ID,
    /// Why; at most 500 characters. It is shown as the evidence, if the account is nobody's then.
    reason: Option<String>,
}

/// An account about which the rules are to decide.
#[derive(InputObject)]
pub struct ResetLinkInput {
    /// The account.
    user_id: ID,
}

/// An account, and what uses it.
#[derive(InputObject)]
pub struct SetAccountKindInput {
    /// The account.
    user_id: ID,
    /// What uses it. Null to believe the application.
    kind: Option<AccountKind>,
}

/// An account, and who is responsible for it.
#[derive(InputObject)]
pub struct SetOwnerInput {
    /// The account.
    user_id: ID,
    /// The person who is responsible. Null for nobody.
    person_id: Option<ID>,
}

macro_rules! payload {
    ($name:ident, $mutation:literal) => {
        #[doc = concat!("The result of `", $mutation, "`.")]
        #[derive(SimpleObject)]
        pub struct $name {
            /// The account as it is now; null if the change was refused.
            user: Option<User>,
            /// Why the change was refused; empty if it was made.
            user_errors: Vec<UserError>,
        }

        impl From<Result<User, Vec<UserError>>> for $name {
            fn from(changed: Result<User, Vec<UserError>>) -> Self {
                match changed {
                    Ok(user) => Self { user: Some(user), user_errors: Vec::new() },
                    Err(user_errors) => Self { user: None, user_errors },
                }
            }
        }
    };
}

payload!(LinkAccountPayload, "linkAccount");
payload!(UnlinkAccountPayload, "unlinkAccount");
payload!(ResetLinkPayload, "resetLink");
payload!(SetAccountKindPayload, "setAccountKind");
payload!(SetOwnerPayload, "setOwner");

/// Carries out a decision about an account, and gives the account as it is then.
async fn decide(
    ctx: &Context<'_>,
    user_id: &ID,
    decision: Result<Decision, Refusal>,
) -> Result<Result<User, Vec<UserError>>, ApiError> {
    let (api, by) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>().label());
    let decided = async {
        let decider = Decider { by, user: id::input(Kind::User, user_id, "userId")? };
        api.people.decide(&decider, &decision?).await?;
        let row = users::find(api.people.db.read(), decider.user).await?;
        row.map(User::one).ok_or_else(|| Error::Internal("a user without a row".into()))
    };
    split_refusals_about("userId", decided.await)
}

#[derive(Default)]
pub struct DecideAccount;

#[Object]
impl DecideAccount {
    /// Gives an account to a person. Every sync respects that.
    async fn link_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account and the person.")] input: LinkAccountInput,
    ) -> Result<LinkAccountPayload, ApiError> {
        let LinkAccountInput { user_id, person_id, reason } = input;
        let decision = id::input(Kind::Person, &person_id, "personId").map(|person| Decision::Link { person, reason });
        Ok(decide(ctx, &user_id, decision).await?.into())
    }

    /// Takes an account from its person. If a member had given it to the person, the rules decide again, and the account
    /// is whose it was before. If the rules had decided, the account is nobody's from now on.
    async fn unlink_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: UnlinkAccountInput,
    ) -> Result<UnlinkAccountPayload, ApiError> {
        let UnlinkAccountInput { user_id, reason } = input;
        Ok(decide(ctx, &user_id, Ok(Decision::Unlink { reason })).await?.into())
    }

    /// Lets the rules decide whose an account is, whatever members have decided.
    async fn reset_link(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: ResetLinkInput,
    ) -> Result<ResetLinkPayload, ApiError> {
        Ok(decide(ctx, &input.user_id, Ok(Decision::Reset)).await?.into())
    }

    /// Says what uses an account, whatever the application says. An account of a program, or of several people, stands
    /// for no person.
    async fn set_account_kind(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account and its kind.")] input: SetAccountKindInput,
    ) -> Result<SetAccountKindPayload, ApiError> {
        let SetAccountKindInput { user_id, kind } = input;
        Ok(decide(ctx, &user_id, Ok(Decision::Kind(kind))).await?.into())
    }

    /// Says who is responsible for an account, such as that of a program.
    async fn set_owner(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account and the person.")] input: SetOwnerInput,
    ) -> Result<SetOwnerPayload, ApiError> {
        let SetOwnerInput { user_id, person_id } = input;
        let owner = person_id.map(|person| id::input(Kind::Person, &person, "personId")).transpose();
        Ok(decide(ctx, &user_id, owner.map(Decision::Owner)).await?.into())
    }
}
