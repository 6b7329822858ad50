use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Member;
use crate::auth::Role;
use crate::auth::members::NewMember;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals, split_refusals_about};

/// A person who is to sign in.
#[derive(InputObject)]
pub struct CreateMemberInput {
    /// The name that is shown.
    name: String,
    /// The address to sign in with. No other member may have it.
    email: String,
    /// What the member may do.
    role: Role,
}

/// A member who is to sign in anew.
#[derive(InputObject)]
pub struct ResetMemberInput {
    /// The member.
    id: ID,
}

/// The result of `createMember`.
#[derive(SimpleObject)]
pub struct CreateMemberPayload {
    /// The new member; null if there is none.
    member: Option<Member>,
    /// Where the member sets a password. It works once, for three days, and is not shown again.
    link: Option<String>,
    /// Why no member was added; empty if one was.
    user_errors: Vec<UserError>,
}

/// The result of `resetMember`.
#[derive(SimpleObject)]
pub struct ResetMemberPayload {
    /// The member; null if nothing was changed.
    member: Option<Member>,
    /// Where the member sets a new password. It works once, for three days, and is not shown again.
    link: Option<String>,
    /// Why nothing was changed; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreateMember;

#[Object]
impl CreateMember {
    /// Adds a member, and makes a link with which the member sets a password.
    async fn create_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new member.")] input: CreateMemberInput,
    ) -> Result<CreateMemberPayload, ApiError> {
        let CreateMemberInput { name, email, role } = input;
        let api = ctx.data_unchecked::<Api>();
        let made = api.members.create(&NewMember { name, email, role }).await;
        Ok(match split_refusals(made)? {
            Ok((member, link)) => {
                let link = link.address(api.authorizations.redirects.console());
                CreateMemberPayload { member: Some(Member(member)), link: Some(link), user_errors: Vec::new() }
            }
            Err(user_errors) => CreateMemberPayload { member: None, link: None, user_errors },
        })
    }

    /// Takes away everything with which a member signs in: the password, the accounts at the identity provider, the
    /// sessions and the personal tokens. Makes a link with which the member sets a new password. If no other
    /// administrator can sign in, that is possible on the server only.
    async fn reset_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The member.")] input: ResetMemberInput,
    ) -> Result<ResetMemberPayload, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let made = async { api.members.reset(id::input(Kind::Member, &input.id, "id")?).await };
        Ok(match split_refusals_about("id", made.await)? {
            Ok((member, link)) => {
                let link = link.address(api.authorizations.redirects.console());
                ResetMemberPayload { member: Some(Member(member)), link: Some(link), user_errors: Vec::new() }
            }
            Err(user_errors) => ResetMemberPayload { member: None, link: None, user_errors },
        })
    }
}
