//! From a stored configuration to a verified connection.

use std::collections::BTreeMap;
use std::time::Duration;

use entity::instance::{Column, Entity, Model};
use entity::run::FailureClass;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use uuid::Uuid;

use super::Instances;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::integration::catalog::Integration;
use crate::integration::source::{Config, Source, SourceError, Verified};

/// How long a member waits for an application's word on a credential.
const PATIENCE: Duration = Duration::from_secs(20);

impl Instances {
    /// The instance's whole configuration, secrets opened.
    pub fn config(&self, model: &Model) -> Result<Config> {
        let mut config: Config = match &model.config {
            Value::Object(values) => {
                values.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
            }
            _ => Config::new(),
        };
        if let Some(sealed) = &model.secrets {
            let plain = self
                .keys
                .open(&owner(model.id), sealed)
                .map_err(|error| Error::internal("the secrets of an instance", error))?;
            config.extend(serde_json::from_slice::<BTreeMap<String, String>>(&plain)?);
        }
        Ok(config)
    }

    /// Whether the stored secrets open with this server's key.
    pub async fn check_key(&self) -> Result<()> {
        let sealed = Entity::find().filter(Column::Secrets.is_not_null()).one(self.db.read()).await?;
        match sealed {
            Some(model) => self.config(&model).map(drop).map_err(|_| {
                Error::Internal("the stored credentials were sealed with another key; put the right one back".into())
            }),
            None => Ok(()),
        }
    }

    /// Splits a configuration into what may be shown and what is sealed.
    pub(super) fn seal(
        &self,
        id: Uuid,
        integration: &Integration,
        config: &Config,
    ) -> Result<(Value, Option<Vec<u8>>)> {
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
        let sealed =
            if secret.is_empty() { None } else { Some(self.keys.seal(&owner(id), &serde_json::to_vec(&secret)?)) };
        Ok((Value::Object(public), sealed))
    }

    /// The application behind an instance, for the run of that number.
    pub fn source(&self, model: &Model, run_number: i64) -> Result<Box<dyn Source>, SourceError> {
        let internal = |message: String| SourceError::new(FailureClass::Internal, message);
        let config = self.config(model).map_err(|_| internal("The stored credential could not be opened.".into()))?;
        let integration = self.catalog.find(&model.integration_key).ok_or_else(|| {
            SourceError::new(
                FailureClass::Config,
                format!("The catalog has no integration \"{}\" any more.", model.integration_key),
            )
        })?;
        self.catalog.connect(integration, config, run_number, None)
    }

    /// Asks the application whether it accepts the configuration.
    pub(super) async fn verify(&self, integration: &Integration, config: Config, run_number: i64) -> Result<Verified> {
        let source = self.catalog.connect(integration, config, run_number, None).map_err(|error| refusal(&error))?;
        let Ok(checked) = tokio::time::timeout(PATIENCE, source.check()).await else {
            let message = format!("{} did not answer within {} seconds.", integration.name, PATIENCE.as_secs());
            return Err(Refusal::new(RefusalCode::ApplicationUnreachable, message).at(["config"]).into());
        };
        checked.map_err(|error| refusal(&error).into())
    }
}

fn owner(id: Uuid) -> String {
    format!("instance.secrets:{id}")
}

/// A failed check as the caller is told of it.
pub(super) fn refusal(error: &SourceError) -> Refusal {
    let code = match error.class {
        FailureClass::Token => RefusalCode::CredentialRejected,
        FailureClass::Permission => RefusalCode::InsufficientPermissions,
        FailureClass::RateLimit
        | FailureClass::Transient
        | FailureClass::Config
        | FailureClass::RemovalGuard
        | FailureClass::Timeout
        | FailureClass::Internal => RefusalCode::ApplicationUnreachable,
    };
    let mut message = error.message.clone();
    if !error.missing_permissions.is_empty() {
        message = format!("{message} Missing: {}.", error.missing_permissions.join(", "));
    }
    Refusal::new(code, message).at(["config"])
}
