use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::Member;
use crate::auth::members::Change;
use crate::auth::{Caller, Role, Who};
use crate::error::Refusal;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::user_error::{UserError, split_refusals, split_refusals_about};

/// The changes of a member. A field that is left out or null keeps its value.
#[derive(InputObject)]
pub struct UpdateMemberInput {
    /// The member.
    id: ID,
    /// The new name.
    name: Option<String>,
    /// The new role.
    role: Option<Role>,
    /// Whether the member may not sign in.
    disabled: Option<bool>,
}

/// The result of `updateMember`.
#[derive(SimpleObject)]
pub struct UpdateMemberPayload {
    /// The member as it is now; null if the changes were refused.
    member: Option<Member>,
    /// Why the changes were refused; empty if they were made.
    user_errors: Vec<UserError>,
}

/// The passwords of the member who is signed in.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The password that is valid now.
    current_password: String,
    /// The new one, of 12 to 200 characters.
    new_password: String,
}

/// The result of `changePassword`.
#[derive(SimpleObject)]
pub struct ChangePasswordPayload {
    /// Why the password was not changed; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct ChangeMember;

#[Object]
impl ChangeMember {
    /// Changes a member. Another role, and disabling, end the member's sessions at once. There is always an
    /// administrator who can sign in.
    async fn update_member(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The changes.")] input: UpdateMemberInput,
    ) -> Result<UpdateMemberPayload, ApiError> {
        let UpdateMemberInput { id, name, role, disabled } = input;
        let api = ctx.data_unchecked::<Api>();
        let change = Change { name, role, disabled };
        let updated = async { api.members.update(id::input(Kind::Member, &id, "id")?, &change).await };
        Ok(match split_refusals_about("id", updated.await)? {
            Ok(member) => UpdateMemberPayload { member: Some(Member(member)), user_errors: Vec::new() },
            Err(user_errors) => UpdateMemberPayload { member: None, user_errors },
        })
    }

    /// Changes the password of the member who is signed in, and ends the member's other sessions.
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passwords.")] input: ChangePasswordInput,
    ) -> Result<ChangePasswordPayload, ApiError> {
        let ChangePasswordInput { current_password, new_password } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let changed = match caller.who {
            Who::Member { id, session } => {
                api.members.change_password(id, session, &current_password, &new_password).await
            }
            Who::Token(_) => Err(Refusal::invalid("A token has no password.", ["currentPassword"]).into()),
        };
        Ok(ChangePasswordPayload { user_errors: split_refusals(changed)?.err().unwrap_or_default() })
    }
}
