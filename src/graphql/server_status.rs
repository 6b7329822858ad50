//! The state of the server itself.

use async_graphql::{Context, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::api::Api;
use crate::clock::date_time;
use crate::db::Trouble;

/// The state of the server itself, for its administrators.
#[derive(SimpleObject)]
pub struct ServerStatus {
    /// What is wrong with the machine under the database. Null if nothing is known to be.
    database_trouble: Option<DatabaseTrouble>,
}

/// A trouble that an administrator has to end.
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
    /// The state of the server that answers.
    async fn server_status(&self, ctx: &Context<'_>) -> ServerStatus {
        let trouble = ctx.data_unchecked::<Api>().instances.db.trouble();
        let trouble =
            trouble.map(|(kind, since)| DatabaseTrouble { kind, message: kind.sentence(), since: date_time(since) });
        ServerStatus { database_trouble: trouble }
    }
}
