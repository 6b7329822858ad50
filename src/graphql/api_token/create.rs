use std::collections::BTreeSet;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::api_token::Model;
use uuid::Uuid;

use super::ApiToken;
use crate::auth::tokens::{LIFETIME_MS, NewToken, address, has_ended, name};
use crate::auth::{Caller, Role, Scope, Who};
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::page::MAX_SIZE;
use crate::graphql::user_error::{UserError, split_refusals};

/// The token to create.
#[derive(InputObject)]
pub struct CreateApiTokenInput {
    /// From 1 to 100 characters. Histories show it.
    name: String,
    /// What it may do.
    role: Role,
    /// The instances that it is limited to; all if it is left out or null.
    scope: Option<ApiTokenScopeInput>,
    /// When it expires, in the future; a year from now if it is left out. A token for which it is null never expires.
    /// What a token creates expires with that token at the latest.
    expires_at: MaybeUndefined<DateTime<Utc>>,
    /// The address that gets mail about the instances that are created with it.
    email: Option<String>,
    /// True for a token of yours, which ends when you are no longer a member. What a personal token creates is always
    /// personal.
    personal: Option<bool>,
}

/// Some instances. At least one integration or instance must be given.
#[derive(InputObject)]
pub struct ApiTokenScopeInput {
    /// All instances of these integrations, also those that are created later.
    integration_keys: Option<Vec<String>>,
    /// These instances.
    instance_ids: Option<Vec<ID>>,
}

/// The result of `createApiToken`.
#[derive(SimpleObject)]
pub struct CreateApiTokenPayload {
    /// The text of the token, for the `Authorization` header. It cannot be shown again. Null if it was not created.
    token: Option<String>,
    /// The token; null if it was not created.
    api_token: Option<ApiToken>,
    /// Why it was not created; empty if it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct CreateApiToken;

#[Object]
impl CreateApiToken {
    /// Creates an API token.
    async fn create_api_token(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The token to create.")] input: CreateApiTokenInput,
    ) -> Result<CreateApiTokenPayload, ApiError> {
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let created = async {
            let created = api.tokens.create(new_token(api, caller, input).await?).await?;
            Ok((created.text, ApiToken::of(created.row, api.instances.clock.now())))
        };
        Ok(match split_refusals(created.await)? {
            Ok((text, token)) => {
                CreateApiTokenPayload { token: Some(text), api_token: Some(token), user_errors: Vec::new() }
            }
            Err(user_errors) => CreateApiTokenPayload { token: None, api_token: None, user_errors },
        })
    }
}

/// Checks the input. All errors are reported together.
async fn new_token(api: &Api, caller: &Caller, input: CreateApiTokenInput) -> Result<NewToken> {
    let CreateApiTokenInput { name: text, role, scope, expires_at, email, personal } = input;
    let mut refusals = Vec::new();
    let mut keep = |refusal: Refusal| refusals.push(refusal);
    let new_name = name(&text).map_err(&mut keep).unwrap_or_default();
    let now = api.instances.clock.now();
    let maker = Maker::of(api, caller).await?;
    let expires_at = maker.end(expires_at, now).map_err(&mut keep).unwrap_or_default();
    let email = email.map(|text| address(&text)).transpose().map_err(&mut keep).unwrap_or_default();
    let member_id = maker.member(personal).map_err(&mut keep).unwrap_or_default();
    let scope = match scope {
        Some(scope) => checked(api, scope).await?.map_err(&mut keep).ok(),
        None => None,
    };
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    let creator_id = maker.creator().filter(|_| member_id.is_none());
    let created_by = Some(maker.name);
    Ok(NewToken { email, scope, expires_at, member_id, created_by, creator_id, ..NewToken::new(new_name, role) })
}

/// Who creates a token, as far as it limits what can be created.
struct Maker {
    name: String,
    /// The member who can have a personal token.
    member: Option<Uuid>,
    /// The token with which it is created.
    token: Option<Model>,
}

impl Maker {
    async fn of(api: &Api, caller: &Caller) -> Result<Self> {
        match caller.who {
            Who::Member { id, .. } => Ok(Self { name: caller.label(), member: Some(id), token: None }),
            Who::Token(id) => {
                let now = api.instances.clock.now();
                let Some(token) = api.tokens.find(id).await?.filter(|token| !has_ended(token, now)) else {
                    // The request began when it still worked.
                    return Err(Error::Refused(vec![Refusal::new(RefusalCode::NotFound, "This token works no more.")]));
                };
                Ok(Self { name: caller.name.clone(), member: token.member_id, token: Some(token) })
            }
        }
    }

    /// When the new token expires. It cannot work for longer than the one that creates it.
    fn end(&self, wanted: MaybeUndefined<DateTime<Utc>>, now: i64) -> Result<Option<i64>, Refusal> {
        let latest = self.token.as_ref().and_then(|token| token.expires_at);
        let end = match wanted {
            MaybeUndefined::Undefined => Some(latest.unwrap_or(i64::MAX).min(now + LIFETIME_MS)),
            MaybeUndefined::Null => None,
            MaybeUndefined::Value(at) => Some(at.timestamp_millis()),
        };
        if end.is_some_and(|at| at <= now) {
            return Err(Refusal::invalid("The end of a token must be in the future.", ["expiresAt"]));
        }
        if latest.is_some_and(|latest| end.is_none_or(|at| at > latest)) {
            let message = "A token cannot create one that expires later than itself, or never.";
            return Err(Refusal::invalid(message, ["expiresAt"]));
        }
        Ok(end)
    }

    /// The member who answers for the new token.
    fn creator(&self) -> Option<Uuid> {
        self.member.or(self.token.as_ref().and_then(|token| token.creator_id))
    }

    /// The member that the new token belongs to.
    fn member(&self, personal: Option<bool>) -> Result<Option<Uuid>, Refusal> {
        let is_personal = personal.unwrap_or(self.token.is_some() && self.member.is_some());
        match (self.member, is_personal) {
            (Some(_), false) if self.token.is_some() => {
                Err(Refusal::invalid("A personal token can create personal tokens only.", ["personal"]))
            }
            (None, true) => {
                let message = "Only a member who has signed in can have a token of their own.";
                Err(Refusal::invalid(message, ["personal"]))
            }
            (member, true) => Ok(member),
            (_, false) => Ok(None),
        }
    }
}

/// The instances and integrations of a scope, which must exist.
async fn checked(api: &Api, scope: ApiTokenScopeInput) -> Result<Result<Scope, Refusal>> {
    let ApiTokenScopeInput { integration_keys, instance_ids } = scope;
    let (keys, ids) = (integration_keys.unwrap_or_default(), instance_ids.unwrap_or_default());
    if keys.is_empty() && ids.is_empty() {
        return Ok(Err(Refusal::invalid("Give at least one integration or instance.", ["scope"])));
    }
    if keys.len().max(ids.len()) > usize::try_from(MAX_SIZE).unwrap_or_default() {
        let message = format!("At most {MAX_SIZE} integrations and as many instances.");
        return Ok(Err(Refusal::invalid(message, ["scope"])));
    }
    if keys.iter().any(|key| api.instances.catalog.find(key).is_none()) {
        let message = "The catalog has no integration of one of these keys.";
        return Ok(Err(Refusal::invalid(message, ["scope", "integrationKeys"])));
    }
    let instances: Result<BTreeSet<_>, String> = ids.iter().map(|id| id::decode(Kind::Instance, id)).collect();
    let instances = match instances {
        Ok(instances) => instances,
        Err(message) => return Ok(Err(Refusal::invalid(message, ["scope"]))),
    };
    let known = api.instances.existing(instances.iter().copied().collect(), &None).await?;
    if known.len() < instances.len() {
        let message = "There is no instance with one of these ids.";
        return Ok(Err(Refusal::invalid(message, ["scope", "instanceIds"])));
    }
    Ok(Ok(Scope { integrations: keys.into_iter().collect(), instances }))
}
