//! What the credentials of instances are bound to, so that they open for their own instance and destination only.

use entity::instance::Model;
use entity::{oauth_authorization, oauth_grant};
use serde_json::Value;
use uuid::Uuid;

use crate::secrets::{Digest, Fields, Place};

/// The instance that a credential belongs to, and where the credential is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub instance: Uuid,
    /// The digest of the application and of all public settings. Templates of a manifest may use any setting in an
    /// address.
    pub destination: Digest,
}

impl Owner {
    pub fn new(instance: Uuid, integration_key: &str, config: &Value) -> Self {
        let mut settings: Vec<_> = config.as_object().into_iter().flatten().collect();
        settings.sort_unstable_by_key(|(key, _)| *key);
        let fields = Fields::default().text(integration_key);
        let fields = settings
            .into_iter()
            .fold(fields, |fields, (key, value)| fields.text(key).optional(value.as_str(), Fields::text));
        Self { instance, destination: fields.digest() }
    }

    pub fn of(model: &Model) -> Self {
        Self::new(model.id, &model.integration_key, &model.config)
    }

    /// The place of the secrets in the settings.
    pub fn secrets(&self, generation: i64) -> Place<'_> {
        self.place("instance", "secrets", generation)
    }

    /// The place of the grant.
    pub fn grant(&self, generation: i64) -> Place<'_> {
        self.place("oauth_grant", "sealed", generation)
    }

    fn place<'a>(&'a self, table: &'a str, column: &'a str, generation: i64) -> Place<'a> {
        Place { table, column, row: self.instance.as_bytes(), generation, destination: self.destination }
    }
}

/// The place of the secrets of a consent in progress. They are bound to everything in its row, and to the settings of
/// the instance that is reconnected, which decide where the code is exchanged.
pub fn consent<'a>(row: &'a oauth_authorization::Model, reconnected: Option<&Owner>) -> Place<'a> {
    let fields = Fields::default()
        .text(&row.integration_key)
        .optional(row.browser_hash.as_deref(), Fields::bytes)
        .optional(row.instance_id, |fields, id| fields.bytes(id.as_bytes()))
        .optional(reconnected, |fields, owner| fields.bytes(&owner.destination))
        .optional(row.name.as_deref(), Fields::text)
        .optional(row.sync_interval_minutes.map(i64::from), Fields::number)
        .bytes(row.token_id.as_bytes())
        .text(&row.actor)
        .number(row.expires_at)
        .number(row.own_redirect.into());
    Place {
        table: "oauth_authorization",
        column: "sealed",
        row: &row.state_hash,
        generation: row.created_at,
        destination: fields.digest(),
    }
}

/// The names that values were bound to before they were bound to their place.
pub mod first_version {
    use super::{Uuid, oauth_grant};

    pub fn secrets(instance: Uuid) -> String {
        format!("instance.secrets:{instance}")
    }

    pub fn grant(row: &oauth_grant::Model) -> String {
        format!("instance.grant:{}", row.instance_id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_setting_and_the_application_decide_where_a_credential_is_sent() {
        let id = Uuid::nil();
        let of = |key: &str, config: Value| Owner::new(id, key, &config).destination;
        let whole = of("scim", json!({ "base_url": "https://a.example", "token": null }));
        assert_eq!(whole, of("scim", json!({ "token": null, "base_url": "https://a.example" })));
        for (key, config) in [
            ("okta", json!({ "base_url": "https://a.example", "token": null })),
            ("scim", json!({ "base_url": "https://b.example", "token": null })),
            ("scim", json!({ "base_url": "https://a.example", "token": "x" })),
            ("scim", json!({ "base_url": "https://a.example", "token": null, "more": "x" })),
            ("scim", json!({ "base_url": "https://a.example" })),
            ("scim", json!({})),
        ] {
            assert_ne!(whole, of(key, config.clone()), "{key} {config}");
        }
    }
}
