//! The state of the server itself.

use async_graphql::{Context, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::api::Api;
use crate::clock::date_time;
use crate::db::Trouble;

/// The state of the server itself, for its administrators.
#[derive(SimpleObject)]
pub struct ServerStatus {
    /// A known problem of the machine that the database runs on; null if there is none.
    database_trouble: Option<DatabaseTrouble>,
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
