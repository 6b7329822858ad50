//! Tests a connection without changing anything.

use entity::audit_entry::Action;
use integration::source::Verified;
use uuid::Uuid;

use super::Instances;
use super::connect::{NOT_OPENED, authorization_required, refused_settings};
use super::sealed::Owner;
use crate::audit::{self, Entry, Subject};
use crate::error::{Error, Refusal, RefusalCode, Result};

/// What to try: an integration with a configuration, or an instance with the values to
/// try in place of its own.
pub struct TestConnection {
    pub integration_key: Option<String>,
    pub instance_id: Option<Uuid>,
    pub config: Vec<(String, String)>,
}

impl Instances {
    /// Asks the application. Leaves an audit entry, and no event.
    pub async fn test_connection(&self, test: TestConnection) -> Result<Verified> {
        let TestConnection { integration_key, instance_id, config } = test;
        let (integration_key, stored, run_number, owner) = match (integration_key, instance_id) {
            (Some(key), None) => (key, None, 1, None),
            (None, Some(id)) => {
                let model = self.get(id).await.map_err(|error| match error {
                    Error::Refused(refusals) => {
                        Error::Refused(refusals.into_iter().map(|r| r.at(["instanceId"])).collect())
                    }
                    other => other,
                })?;
                if model.status.is_deleted() {
                    let message = "This instance is deleted, or is being deleted.";
                    return Err(Refusal::new(RefusalCode::InstanceDeleted, message).at(["instanceId"]).into());
                }
                let (stored, owner) = (self.config(&model).ok(), Owner::of(&model));
                if stored.is_none() && config.is_empty() {
                    return Err(Refusal::new(RefusalCode::CredentialRejected, NOT_OPENED).at(["instanceId"]).into());
                }
                (model.integration_key, stored, model.run_number + 1, Some(owner))
            }
            _ => {
                return Err(Refusal::invalid("Give either integrationKey or instanceId.", ["integrationKey"]).into());
            }
        };
        let Some(integration) = self.catalog.find(&integration_key) else {
            return Err(Refusal::new(RefusalCode::UnknownIntegration, "The catalog has no integration of this key.")
                .at(["integrationKey"])
                .into());
        };
        let config = integration
            .check_config(stored.as_ref(), &config)
            .map_err(|errors| Error::Refused(refused_settings(errors)))?;
        let changed = stored.as_ref().is_none_or(|stored| *stored != config);
        let consent = self.consent(integration, &config)?.is_some();
        let grants = match owner {
            None if consent => return Err(authorization_required(integration, "integrationKey").into()),
            None => None,
            // The stored grant was given to other settings, and must not be tried, or renewed, with these.
            Some(_) if consent && changed => return Err(authorization_required(integration, "config").into()),
            Some(owner) => Some(self.grants(owner)),
        };
        let result = self.verify(integration, config, run_number, grants).await;
        let accepted = result.is_ok();
        let verdict = if accepted { "accepted" } else { "refused" };
        let detail = &format!("A connection to {} was tested and {verdict}.", integration.name);
        let now = self.clock.now();
        let record = self.db.write(|tx| async move {
            let entry = Entry::new(now, Action::ConnectionTested, detail);
            let entry = if accepted { entry } else { entry.refused("NOT_ACCEPTED") };
            audit::record(&tx, entry.about(instance_id.map(Subject::instance)));
            Ok(())
        });
        record.await?;
        result
    }
}
