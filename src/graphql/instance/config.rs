//! The configuration of an instance.

use crate::graphql::written::Fields;
use async_graphql::{InputObject, SimpleObject};
use entity::instance::Model;

use integration::catalog::Catalog;

/// One value of an instance's configuration. The values of secrets are never shown.
#[derive(SimpleObject, Fields)]
pub struct ConfigValue {
    /// The key of the field.
    key: String,
    /// The value; null for a secret, and for a field without a value.
    value: Option<String>,
    /// Whether a value is stored.
    is_set: bool,
}

impl ConfigValue {
    /// In the order of the integration's form. Empty if the catalog no longer has the integration.
    pub fn of_instance(model: &Model, catalog: &Catalog) -> Vec<Self> {
        let Some(integration) = catalog.find(&model.integration_key) else { return Vec::new() };
        // The secrets of a deleted instance were destroyed.
        let destroyed = model.status.is_deleted();
        let value = |key: &str| {
            let stored = model.config.get(key);
            ConfigValue {
                key: key.to_owned(),
                value: stored.and_then(|value| value.as_str().map(str::to_owned)),
                is_set: stored.is_some_and(|value| value.is_string() || !destroyed),
            }
        };
        integration.fields.iter().map(|field| value(&field.key)).collect()
    }
}

/// A value for one field of a configuration.
#[derive(InputObject)]
pub struct ConfigValueInput {
    /// The key of the field: one of the keys of `Integration.configFields`.
    key: String,
    /// The value; an empty one clears the field.
    value: String,
}

/// The values with their keys.
pub fn pairs(values: Vec<ConfigValueInput>) -> Vec<(String, String)> {
    values.into_iter().map(|ConfigValueInput { key, value }| (key, value)).collect()
}
