//! Where an application sends people back to.
//!
//! Each integration has an address of its own, so that no application gets the code of another one. What was registered
//! with the address that all integrations shared keeps it, until it is connected with another client id.

use std::sync::Arc;

use entity::instance::{self, Status};
use entity::oauth_shared_redirect::{Column, Entity};
use integration::engine::CodeFlow;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{Authorizations, CALLBACK};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::Instances;

/// The addresses to which applications send people back.
#[derive(Clone)]
pub struct Redirects {
    /// The URL of the console, without a trailing slash.
    console: Arc<str>,
}

impl Redirects {
    /// `public_url` has no trailing slash.
    pub fn new(public_url: &str) -> Self {
        Self { console: public_url.into() }
    }

    /// The URL of the console, without a trailing slash.
    pub fn console(&self) -> &str {
        &self.console
    }

    /// The address of one integration.
    pub fn of(&self, integration_key: &str) -> String {
        format!("{}{CALLBACK}/{integration_key}", self.console)
    }

    /// The address that all integrations shared.
    pub fn shared(&self) -> String {
        format!("{}{CALLBACK}", self.console)
    }
}

impl Authorizations {
    /// The address for an authorization.
    pub(super) fn redirect(&self, integration_key: &str, own: bool) -> String {
        if own { self.redirects.of(integration_key) } else { self.redirects.shared() }
    }

    /// Whether no application is registered with the shared address. Then no other application's answer can arrive
    /// there, and one that does is accepted.
    pub(super) async fn nobody_shares(&self) -> Result<bool> {
        Ok(Entity::find().one(self.instances.db.read()).await?.is_none())
    }

    /// Whether a consent uses the address of its integration: not if the same client is registered with the shared one.
    pub(super) async fn uses_own(&self, integration_key: &str, flow: &CodeFlow) -> Result<bool> {
        let shared = Entity::find().all(self.instances.db.read()).await?;
        if shared.is_empty() {
            return Ok(true);
        }
        let registered = instance::Entity::find()
            .filter(instance::Column::Id.is_in(shared.into_iter().map(|row| row.instance_id)))
            .filter(instance::Column::IntegrationKey.eq(integration_key))
            .filter(instance::Column::Status.is_in(Status::KEPT))
            .all(self.instances.db.read())
            .await?;
        let client = flow.client_id().ok();
        Ok(!registered.iter().any(|model| client.is_some() && client_id(&self.instances, model) == client))
    }
}

/// The client id with which an instance is connected.
fn client_id(instances: &Instances, model: &instance::Model) -> Option<String> {
    let config = instances.config(model).ok()?;
    let integration = instances.catalog.find(&model.integration_key)?;
    instances.consent(integration, &config).ok().flatten()?.client_id().ok()
}

/// Notes that an instance is connected with the address of its integration, or not at all.
pub(super) async fn forget_shared(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).exec(tx.conn()).await?;
    Ok(())
}
