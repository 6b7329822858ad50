//! Everything that has an id, by its id.

use async_graphql::{Context, ID, Interface, Object};

use super::api::Api;
use super::error::{ApiError, nullable};
use super::id::{self, Kind};
use super::instance::Instance;
use super::integration::Integration;
use super::notification::Notification;
use super::sync_run::SyncRun;
use super::user::User;
use crate::audit::{Origin, Subject};
use crate::directory::users;
use crate::notification::history;

/// Anything with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", method = "node_id", ty = "ID", desc = "The opaque, permanent id."))]
pub enum Node {
    Integration(Integration),
    Instance(Instance),
    SyncRun(SyncRun),
    User(User),
    Notification(Notification),
}

/// The field of the interface, which the library awaits.
macro_rules! node_ids {
    ($($ty:ty),*) => {$(
        impl $ty {
            async fn node_id(&self, ctx: &Context<'_>) -> Result<ID, ApiError> {
                Ok(self.id(ctx))
            }
        }
    )*};
}

node_ids!(Integration, Instance, SyncRun, User, Notification);

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id. Null if nothing has that id, or no longer.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "The id.")] id: ID) -> Option<Node> {
        let api = ctx.data_unchecked::<Api>();
        let found = nullable(ctx, find(api, &id).await)?;
        if let (Node::User(user), Some(origin)) = (&found, ctx.data_opt::<Origin>()) {
            Box::pin(api.journal.note_reading(origin, Subject::user(user.key()))).await;
        }
        Some(found)
    }
}

async fn find(api: &Api, id: &ID) -> Result<Option<Node>, ApiError> {
    let (kind, key) = id::decode_any(id).map_err(ApiError::InvalidInput)?;
    let conn = api.instances.db.read();
    Ok(match kind {
        Kind::Integration => Integration::find(api, &key).map(Node::Integration),
        Kind::Instance => Instance::find(api, id).await?.map(Node::Instance),
        Kind::SyncRun => SyncRun::find(api, id).await?.map(Node::SyncRun),
        Kind::User => match users::find(conn, id::argument(kind, id)?).await? {
            Some(user) if api.sees(user.instance_id).await? => Some(Node::User(User::one(user))),
            _ => None,
        },
        // Their ids are for the fields about members, tokens, people, contracts, findings and webhooks only.
        Kind::Member | Kind::Session | Kind::ApiToken | Kind::Person | Kind::Contract | Kind::Finding => None,
        Kind::Webhook | Kind::WebhookDelivery => None,
        Kind::Notification => {
            let found = history::find(conn, id::argument(kind, id)?).await?;
            let is_seen = match found.as_ref().map(|mail| mail.instance_id) {
                Some(Some(instance)) => api.sees(instance).await?,
                Some(None) => api.seen.is_none(),
                None => false,
            };
            found.filter(|_| is_seen).map(Notification::one).map(Node::Notification)
        }
    })
}
