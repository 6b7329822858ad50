//! The organisation-wide list of recipients.

use async_graphql::{Context, InputObject, Object, Scalar, ScalarType, SimpleObject, Value};

use crate::auth::Caller;
use crate::graphql::api::Api;
use crate::graphql::error::{ApiError, settle};
use crate::graphql::user_error::{UserError, user_errors};
use crate::notification::recipients;

/// An e-mail address.
pub struct EmailAddress(String);

/// An e-mail address, such as `ada@example.com`.
#[Scalar]
impl ScalarType for EmailAddress {
    fn parse(value: Value) -> async_graphql::InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(EmailAddress(text)),
            other => Err(async_graphql::InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// The addresses that get mail about every instance of every integration.
#[derive(SimpleObject)]
pub struct Recipients {
    /// In the order in which they were given. Empty: only the creators of instances get mail.
    emails: Vec<EmailAddress>,
}

impl Recipients {
    fn of(list: Vec<String>) -> Self {
        Recipients { emails: list.into_iter().map(EmailAddress).collect() }
    }
}

#[derive(Default)]
pub struct RecipientsQuery;

#[Object]
impl RecipientsQuery {
    /// The addresses that get mail about every instance.
    async fn recipients(&self, ctx: &Context<'_>) -> Result<Recipients, ApiError> {
        Ok(Recipients::of(recipients::list(ctx.data_unchecked::<Api>().instances.db.read()).await?))
    }
}

/// Replaces the whole list, or refuses it whole with one error per bad address. An empty
/// list: only the creators of instances get mail.
#[derive(InputObject)]
pub struct SetRecipientsInput {
    /// At most 100 addresses. One that comes twice, in whatever case, is kept once.
    emails: Vec<String>,
}

/// What became of `setRecipients`.
#[derive(SimpleObject)]
pub struct SetRecipientsPayload {
    /// The list as it stands now.
    recipients: Recipients,
    /// Why nothing was changed; empty when it was.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub struct RecipientsMutation;

#[Object]
impl RecipientsMutation {
    /// Replaces the list of addresses that get mail about every instance.
    async fn set_recipients(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new list.")] input: SetRecipientsInput,
    ) -> Result<SetRecipientsPayload, ApiError> {
        let SetRecipientsInput { emails } = input;
        let (api, caller) = (ctx.data_unchecked::<Api>(), ctx.data_unchecked::<Caller>());
        let db = &api.instances.db;
        Ok(match settle(recipients::set(db, &api.instances.clock, &caller.label(), &emails).await)? {
            Ok(list) => SetRecipientsPayload { recipients: Recipients::of(list), user_errors: Vec::new() },
            Err(refusals) => SetRecipientsPayload {
                recipients: Recipients::of(recipients::list(db.read()).await?),
                user_errors: user_errors(refusals),
            },
        })
    }
}
