//! The instances that a token is limited to.

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::{ColumnTrait, Condition};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Some instances: all of some integrations, also those that do not exist yet, and single ones. An instance keeps its
/// integration, so that it is always in a scope or never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    pub integrations: BTreeSet<String>,
    pub instances: BTreeSet<Uuid>,
}

/// What a caller sees: `None` for all instances.
pub type Seen = Option<Arc<Scope>>;

impl Scope {
    /// Whether an instance is among them.
    pub fn has(&self, integration_key: &str, instance: Uuid) -> bool {
        self.integrations.contains(integration_key) || self.instances.contains(&instance)
    }

    /// The rows of these instances, in a table with both columns.
    pub fn condition(&self, integration: impl ColumnTrait, instance: impl ColumnTrait) -> Condition {
        Condition::any().add(integration.is_in(&self.integrations)).add(instance.is_in(self.instances.iter().copied()))
    }
}
