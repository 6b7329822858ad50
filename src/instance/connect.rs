//! Opens stored configurations and verifies connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use entity::instance::Model;
use integration::catalog::Integration;
use integration::engine::CodeFlow;
use integration::grant::GrantStore;
use integration::manifest::auth::AuthenticationKind;
use integration::manifest::config::SettingError;
use integration::source::{Config, ErrorClass, Source, SourceError, Verified};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Instances;
use super::grants::Grants;
use super::list::source::DeliveredList;
use super::notice::About;
use super::sealed::Owner;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::secrets::SecretKey;

/// How long a member's request waits for the application to check a credential.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What people read about a credential that does not open.
pub(super) const NOT_OPENED: &str = "The stored credential cannot be opened: it, or a setting of this instance, was changed outside of Muster. Check all settings, and enter them again with the credential.";

impl Instances {
    /// The whole configuration of an instance, with decrypted secrets.
    pub fn config(&self, model: &Model) -> Result<Config> {
        let mut config = public(model);
        if let Some(sealed) = &model.secrets {
            let plain = self
                .keys
                .open(&Owner::of(model).secrets(model.secrets_generation), sealed)
                .map_err(|error| Error::internal("opening the secrets of an instance", error))?;
            config.extend(serde_json::from_slice::<BTreeMap<String, String>>(&plain)?);
        }
        Ok(config)
    }

    /// Stores a configuration in a row: its public part, and its sealed secrets.
    pub(super) fn set_config(
        key: &SecretKey,
        model: &mut Model,
        integration: &Integration,
        config: &Config,
    ) -> Result<()> {
        let mut public = serde_json::Map::new();
        let mut secret = BTreeMap::new();
        for (key, value) in config {
            if integration.is_secret(key) {
                public.insert(key.clone(), Value::Null);
                secret.insert(key, value);
            } else {
                public.insert(key.clone(), Value::String(value.clone()));
            }
        }
        model.config = Value::Object(public);
        model.secrets_generation += 1;
        model.secrets = None;
        if !secret.is_empty() {
            let plain = Zeroizing::new(serde_json::to_vec(&secret)?);
            model.secrets = Some(key.seal(&Owner::of(model).secrets(model.secrets_generation), &plain));
        }
        Ok(())
    }

    /// Connects the application of an instance, for the run with this number.
    pub fn source(&self, model: &Model, run_number: i64) -> Result<Box<dyn Source>, SourceError> {
        let internal = |message: String| SourceError::new(ErrorClass::Internal, message);
        let config = self.config(model).map_err(|_| internal(NOT_OPENED.into()))?;
        let integration = self.catalog.find(&model.integration_key).ok_or_else(|| {
            SourceError::new(
                ErrorClass::Config,
                format!("The catalog has no integration \"{}\" any more.", model.integration_key),
            )
        })?;
        if integration.is_delivered() {
            let Model { id, last_success_at, .. } = *model;
            return Ok(Box::new(DeliveredList { db: self.db.clone(), instance: id, last_success_at }));
        }
        self.catalog.connect(integration, config, run_number, Some(self.grants(Owner::of(model))))
    }

    /// What notices and mails say about the application of an instance.
    pub fn about<'a>(&'a self, model: &'a Model) -> About<'a> {
        let entry = self.catalog.find(&model.integration_key);
        let config = public(model);
        let manifest = entry.and_then(|entry| entry.manifest());
        let has_password = manifest.is_some_and(|manifest| manifest.has_password(&config));
        About {
            integration: entry.map_or(&model.integration_key, |entry| &entry.name),
            consents: entry.is_some_and(|entry| entry.chosen(&config) == AuthenticationKind::OAuth2AuthorizationCode),
            secret: if has_password { "password" } else { "token" },
        }
    }

    /// Whether the credential is a password, so that an application may lock the account after a few refusals.
    pub fn guessing_locks(&self, model: &Model) -> bool {
        let entry = self.catalog.find(&model.integration_key);
        entry.is_some_and(|entry| entry.chosen(&public(model)) == AuthenticationKind::Basic)
    }

    /// The store of an instance's grant.
    pub fn grants(&self, owner: Owner) -> Arc<dyn GrantStore> {
        Arc::new(Grants { instances: self.clone(), owner })
    }

    /// The code flow, if the configuration requires a person's consent.
    pub(super) fn consent(&self, integration: &Integration, config: &Config) -> Result<Option<CodeFlow>> {
        self.catalog.code_flow(integration, config).map_err(|error| refusal(&error).into())
    }

    /// The tenant whose users an instance has, if it is known. The manifest of an earlier version may have named the
    /// same tenant otherwise, so the stored name counts only if the settings do not tell.
    pub(super) fn known_tenant(&self, model: &Model) -> Option<String> {
        let in_settings = |integration: &Integration| integration.tenant_in_settings(&self.config(model).ok()?);
        let in_settings = self.catalog.find(&model.integration_key).and_then(in_settings);
        in_settings.or_else(|| model.tenant.clone())
    }

    /// Asks the application whether it accepts the configuration and, if there is one, the grant.
    pub(super) async fn verify(
        &self,
        integration: &Integration,
        config: Config,
        run_number: i64,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Verified> {
        if integration.is_delivered() {
            return Ok(Verified::default());
        }
        let source = self.catalog.connect(integration, config, run_number, grants).map_err(|error| refusal(&error))?;
        let Ok(checked) = tokio::time::timeout(PATIENCE, source.check()).await else {
            let message = format!("{} did not answer within {} seconds.", integration.name, PATIENCE.as_secs());
            return Err(Refusal::new(RefusalCode::ApplicationUnreachable, message).at(["config"]).into());
        };
        checked.map_err(|error| refusal(&error).into())
    }
}

/// The configuration without its secrets.
fn public(model: &Model) -> Config {
    let values = model.config.as_object().into_iter().flatten();
    values.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The known tenant and that of a credential, if they differ.
pub(super) fn other_tenant<'a>(known: Option<&'a str>, verified: &'a Verified) -> Option<(&'a str, &'a str)> {
    known.zip(verified.tenant.as_deref()).filter(|(known, found)| known != found)
}

/// The refusal of a request that needs a person's consent first.
pub(super) fn authorization_required(integration: &Integration, field: &str) -> Refusal {
    let message = format!(
        "A person has to consent in {} first: beginAuthorization returns the address to send them to.",
        integration.name
    );
    Refusal::new(RefusalCode::AuthorizationRequired, message).at([field])
}

/// The refusal for a failed check.
pub(super) fn refusal(error: &SourceError) -> Refusal {
    let code = match error.class {
        ErrorClass::Token => RefusalCode::CredentialRejected,
        ErrorClass::Permission => RefusalCode::InsufficientPermissions,
        ErrorClass::RateLimit
        | ErrorClass::Transient
        | ErrorClass::Config
        | ErrorClass::Timeout
        | ErrorClass::Overdue
        | ErrorClass::Internal => RefusalCode::ApplicationUnreachable,
    };
    let mut message = error.message.clone();
    if !error.missing_permissions.is_empty() {
        message = format!("{message} Missing: {}.", error.missing_permissions.join(", "));
    }
    Refusal::new(code, message).at(["config"])
}

/// The refusals for invalid settings.
pub(super) fn refused_settings(errors: Vec<SettingError>) -> Vec<Refusal> {
    errors.into_iter().map(|error| Refusal::invalid(error.message, ["config", &error.key])).collect()
}
