//! The clients of other servers: of applications, of the identity provider, and of the mail server.

use std::time::Duration;

use integration::catalog::Catalog;
use integration::engine::{Client, ClientSettings, RetryPolicy};
use integration::manifest::Fault;

use crate::auth::sessions::Sessions;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::Db;
use crate::mail::{MailSettings, Mailer};
use crate::oidc::Oidc;
use crate::webhook::attempt::TRY;

/// How long it may take to connect to the receiver of a webhook.
const WEBHOOK_CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer of a webhook's receiver is read, in bytes.
const WEBHOOK_ANSWER: usize = 4 * 1024;

fn client(settings: &Settings, clock: Clock) -> Result<ClientSettings, String> {
    let mut client = ClientSettings::new(settings.allowed_networks.clone(), move || clock.now(), fastrand::f64);
    client.ca_certificates = settings.certificate_authorities()?.unwrap_or_default();
    client.https_proxy.clone_from(&settings.https_proxy);
    Ok(client)
}

/// The catalog, and the errors of the manifests that were left out of it.
pub fn load_catalog(settings: &Settings, clock: Clock) -> Result<(Catalog, Vec<Fault>), String> {
    let mut client = client(settings, clock)?;
    // These retries are for short disturbances. In a longer outage the run waits, which users can see, and which
    // occupies no place of the worker.
    client.retry = RetryPolicy { attempts: 3, max_wait: Duration::from_secs(15), ..client.retry };
    let client = Client::new(client).map_err(|error| format!("HTTP client: {error}"))?;
    Catalog::load(client, settings.connectors_dir.as_deref())
}

/// Sign-in with the identity provider, if one is set.
pub(super) fn oidc(settings: &Settings, db: &Db, clock: &Clock, sessions: &Sessions) -> Result<Option<Oidc>, String> {
    let Some(provider) = settings.oidc()? else { return Ok(None) };
    let client = client(settings, clock.clone())?;
    let database = (db.clone(), clock.clone());
    Oidc::new(provider, sessions.clone(), database, client, &settings.public_url()).map(Some)
}

/// The client for messages to webhooks. Of their answers, the status says everything.
pub(super) fn webhooks(settings: &Settings, clock: &Clock) -> Result<Client, String> {
    let client = ClientSettings {
        connect_timeout: WEBHOOK_CONNECT,
        idle_timeout: TRY,
        call_timeout: TRY,
        page_bytes: WEBHOOK_ANSWER,
        only_beginning: true,
        ..client(settings, clock.clone())?
    };
    Client::new(client).map_err(|error| format!("HTTP client: {error}"))
}

pub(super) fn mailer(settings: &Settings) -> Result<Mailer, String> {
    Mailer::new(&MailSettings {
        smtp_url: settings.smtp_url.as_deref(),
        helo_name: settings.smtp_helo_name.as_deref(),
        public_host: &mail_host(&settings.public_url()),
        authorities: settings.certificate_authorities()?.as_deref(),
        from: &settings.mail_from,
        dir: &settings.mail_dir(),
    })
}

/// The host name in Message-IDs: that of the public address.
pub(super) fn mail_host(public_url: &str) -> String {
    let host = url::Url::parse(public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    // Some mail servers reject an IP address instead of a domain name.
    host.filter(|host| host.parse::<std::net::IpAddr>().is_err()).unwrap_or_else(|| "muster.localhost".into())
}
