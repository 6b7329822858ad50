//! The recipients of mail about every instance.

use async_graphql::{Context, InputObject, Object, Scalar, ScalarType, SimpleObject, Value};

use super::api::Api;
use super::error::ApiError;
use super::user_error::{UserError, split_refusals};
use crate::notification::recipients;

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
    /// The addresses in the order in which they were given. If there are none, only the creators of instances get mail.
    emails: Vec<EmailAddress>,
}

impl Recipients {
    fn of(addresses: Vec<String>) -> Self {
        Recipients { emails: addresses.into_iter().map(EmailAddress).collect() }
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

/// The new list of recipients. If one address is invalid, the whole list is refused, with one
/// error per invalid address. With an empty list, only the creators of instances get mail.
#[derive(InputObject)]
pub struct SetRecipientsInput {
    /// At most 100 addresses. Duplicates, which may differ in case, are removed.
    emails: Vec<String>,
    /// The list as you have read it. If it is another one now, nothing is changed, and the code is `REVISION_CONFLICT`.
    expected_emails: Option<Vec<String>>,
}

/// The result of `setRecipients`.
#[derive(SimpleObject)]
pub struct SetRecipientsPayload {
    /// The list as it is now.
    recipients: Recipients,
    /// Why the list was not changed; empty if it was.
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
        let SetRecipientsInput { emails, expected_emails } = input;
        let api = ctx.data_unchecked::<Api>();
        let (db, clock) = (&api.instances.db, &api.instances.clock);
        let set = split_refusals(recipients::set(db, clock, &emails, expected_emails.as_deref()).await)?;
        let (addresses, user_errors) = match set {
            Ok(addresses) => (addresses, Vec::new()),
            Err(user_errors) => (recipients::list(db.read()).await?, user_errors),
        };
        Ok(SetRecipientsPayload { recipients: Recipients::of(addresses), user_errors })
    }
}
