//! The state of the server itself.

use async_graphql::{ComplexObject, Context, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::api::Api;
use super::api_token::ApiToken;
use super::error::ApiError;
use crate::clock::date_time;
use crate::db::Trouble;

/// The state of the server itself, for its administrators.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct ServerStatus {
    /// A known problem of the machine that the database runs on; null if there is none.
    database_trouble: Option<DatabaseTrouble>,
}

#[ComplexObject]
impl ServerStatus {
    /// The API tokens that expire within 30 days, those first that expire first.
    async fn expiring_tokens(&self, ctx: &Context<'_>) -> Result<Vec<ApiToken>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let (now, tokens) = (api.instances.clock.now(), api.tokens.expiring().await?);
        Ok(tokens.into_iter().map(|token| ApiToken::of(token, now)).collect())
    }
}

/// A problem that an administrator has to solve.
#[derive(SimpleObject)]
pub struct DatabaseTrouble {
    /// What is wrong, for a program.
    kind: Trouble,
    /// What is wrong and what to do, for a person.
    message: &'static str,
    /// When the server noticed it.
    since: DateTime<Utc>,
}

#[derive(Default)]
pub struct ServerStatusQuery;

#[Object]
impl ServerStatusQuery {
    /// The state of the server that answers this request.
    async fn server_status(&self, ctx: &Context<'_>) -> ServerStatus {
        let trouble = ctx.data_unchecked::<Api>().instances.db.trouble();
        let trouble =
            trouble.map(|(kind, since)| DatabaseTrouble { kind, message: kind.sentence(), since: date_time(since) });
        ServerStatus { database_trouble: trouble }
    }
}
