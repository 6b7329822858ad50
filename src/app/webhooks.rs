//! Webhooks: their commands, and the worker that sends their messages.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::App;
use crate::config::Settings;
use crate::graphql::id;
use crate::instance::Instances;
use crate::sync::Engine;
use crate::webhook::send::{Sender, WRITES_AT_ONCE};
use crate::webhook::{Ids, Webhooks};

pub(super) fn commands(instances: &Instances, settings: &Settings, engine: &Engine) -> Webhooks {
    Webhooks {
        instances: instances.clone(),
        networks: settings.allowed_networks.clone(),
        public_url: engine.public_url.clone(),
        ids: ids(engine),
    }
}

fn ids(engine: &Engine) -> Ids {
    Ids { instance: id::text_of_instance, run: id::text_of_run, page: engine.page_of }
}

impl App {
    /// The worker of the jobs of webhooks.
    pub(super) fn sender(&self) -> Sender {
        Sender {
            instances: self.instances.clone(),
            db: self.db.clone(),
            clock: self.clock.clone(),
            age_clock: self.pruner.age_clock.clone(),
            keys: self.instances.keys.clone(),
            log: self.log.clone(),
            hold: self.engine.limits.hold.storm,
            client: self.webhook_client.clone(),
            writers: Arc::new(Semaphore::new(WRITES_AT_ONCE)),
            ids: ids(&self.engine),
            public_url: self.engine.public_url.clone(),
            mail_host: self.engine.mail_host.clone(),
        }
    }
}
