//! Anything by its id.

use async_graphql::{Context, ID, Interface, Object};

use super::api::Api;
use super::error::{ApiError, nullable};
use super::id::{self, Kind};
use super::instance::Instance;
use super::integration::Integration;
use super::notification::Notification;
use super::sync_run::SyncRun;
use super::user::User;
use crate::directory::users;
use crate::notification::history;

/// Anything with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The opaque, permanent id."))]
pub enum Node {
    Integration(Integration),
    Instance(Instance),
    SyncRun(SyncRun),
    User(User),
    Notification(Notification),
}

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id; null when nothing has that id (any more).
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "The id.")] id: ID) -> Option<Node> {
        let found = find(ctx, &id).await;
        nullable(ctx, found)
    }
}

async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, ApiError> {
    let api = ctx.data_unchecked::<Api>();
    let conn = api.instances.db.read();
    let Some((kind, key)) = id::decode_any(id) else {
        return Err(ApiError::InvalidInput("This is not an id that this server gave.".into()));
    };
    if kind == Kind::Integration {
        let found = api.instances.catalog.find(&key);
        return Ok(found.and_then(|entry| Integration::list(vec![entry.key.clone()]).pop()).map(Node::Integration));
    }
    let id = id::argument(kind, id)?;
    Ok(match kind {
        Kind::Integration => None,
        Kind::Instance => {
            api.instances.by_ids(&[id]).await?.into_values().next().map(|model| Node::Instance(Instance::one(model)))
        }
        Kind::SyncRun => {
            api.instances.runs_by_ids(&[id]).await?.into_values().next().map(|model| Node::SyncRun(SyncRun::one(model)))
        }
        Kind::User => users::find(conn, id).await?.and_then(|model| User::list(vec![model]).pop()).map(Node::User),
        Kind::Notification => history::find(conn, id)
            .await?
            .and_then(|model| Notification::list(vec![model]).pop())
            .map(Node::Notification),
    })
}
