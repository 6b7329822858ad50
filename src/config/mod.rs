//! The settings. Environment variables override a TOML file, which overrides the defaults.
//!
//! A setting has the same name everywhere: `MUSTER_LISTEN` in the environment is `listen`
//! in the file. An unknown name or an invalid value stops the start with an error message
//! of one line that names the setting.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use url::Url;

use crate::db::{Location, ParsedUrl};
use crate::spelling::closest;

mod addresses;
mod defaults;
mod environment;
mod forms;
mod oidc;
mod secret_files;

pub use oidc::{Member, OidcSettings};

/// The maximum of the `keep_…_days` settings: a hundred years.
const MAX_KEEP_DAYS: u32 = 36_500;

/// All settings, validated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that the server listens on.
    #[serde(default = "defaults::listen")]
    pub listen: SocketAddr,
    /// The folder with the SQLite database, the secret key and mails that are written as files.
    #[serde(default = "defaults::data_dir")]
    pub data_dir: PathBuf,
    database_url: Option<String>,
    database_url_file: Option<PathBuf>,
    /// How many connections this process keeps to PostgreSQL.
    #[serde(default = "defaults::database_connections")]
    pub database_connections: u32,
    public_url: Option<Url>,
    pub secret_key_file: Option<PathBuf>,
    tls_cert_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
    /// A PEM file with certificate authorities that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Without it, mails are written as files.
    pub smtp_url: Option<String>,
    smtp_url_file: Option<PathBuf>,
    /// The host name with which we introduce ourselves to the mail server.
    pub smtp_helo_name: Option<String>,
    #[serde(default = "defaults::mail_from")]
    pub mail_from: String,
    pub connectors_dir: Option<PathBuf>,
    /// Private and loopback networks that connectors may send requests to.
    #[serde(default, deserialize_with = "forms::networks")]
    pub allowed_networks: Vec<IpNet>,
    /// The identity provider with which members sign in.
    oidc_issuer: Option<String>,
    oidc_client_id: Option<String>,
    oidc_client_secret: Option<String>,
    oidc_client_secret_file: Option<PathBuf>,
    #[serde(default = "defaults::oidc_scopes")]
    pub oidc_scopes: String,
    #[serde(default = "defaults::oidc_groups_claim")]
    pub oidc_groups_claim: String,
    oidc_roles: Option<String>,
    oidc_default_role: Option<String>,
    #[serde(default = "defaults::oidc_label")]
    pub oidc_label: String,
    /// The proxy through which connectors send https requests.
    pub https_proxy: Option<Url>,
    https_proxy_file: Option<PathBuf>,
    #[serde(default = "defaults::log")]
    pub log: String,
    #[serde(default)]
    pub log_format: LogFormat,
    /// The OpenTelemetry collector that traces are sent to; `None`: they are not sent.
    pub otlp_endpoint: Option<Url>,
    otlp_endpoint_file: Option<PathBuf>,
    /// Whether clients may query the schema.
    #[serde(default = "defaults::on", deserialize_with = "forms::on_or_off")]
    pub introspection: bool,
    /// How many connections clients may have. There are never more than the file descriptors allow.
    #[serde(default = "defaults::max_connections")]
    pub max_connections: usize,
    /// How many of them may come from one address.
    #[serde(default = "defaults::max_connections_per_address")]
    pub max_connections_per_address: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[serde(default, deserialize_with = "forms::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How many operations of a token are executed at once. In all `token_…` settings 0 means that there is no limit.
    #[serde(default = "defaults::token_operations")]
    pub token_operations: usize,
    /// How many WebSockets the clients of a token may have open.
    #[serde(default = "defaults::token_sockets")]
    pub token_sockets: usize,
    /// How many subscriptions they may have, over all transports.
    #[serde(default = "defaults::token_subscriptions")]
    pub token_subscriptions: usize,
    #[serde(default = "defaults::token_requests_per_minute")]
    pub token_requests_per_minute: u32,
    /// How much their operations may cost, see [`crate::graphql::page`].
    #[serde(default = "defaults::token_cost_per_minute")]
    pub token_cost_per_minute: u32,
    #[serde(default = "defaults::token_test_mails_per_hour")]
    pub token_test_mails_per_hour: u32,
    /// The maximum number of concurrent sync runs. Most of the time, they wait for their applications.
    #[serde(default = "defaults::sync_concurrency")]
    pub sync_concurrency: usize,
    /// The removal guard stops a run that would remove more than this percentage of the users …
    #[serde(default = "defaults::guard_percent")]
    pub removal_guard_percent: u8,
    /// … and at least this many.
    #[serde(default = "defaults::guard_minimum")]
    pub removal_guard_minimum: u32,
    /// The growth guard stops a run that lists more than this many times as many users as the instance has …
    #[serde(default = "defaults::growth_factor")]
    pub growth_guard_factor: u32,
    /// … and at least this many more.
    #[serde(default = "defaults::growth_minimum")]
    pub growth_guard_minimum: u32,
    /// The most users that an instance may have.
    #[serde(default = "defaults::max_users_per_instance")]
    pub max_users_per_instance: u32,
    /// For how many days events are kept. In all `keep_…_days` settings 0 means for ever.
    #[serde(default = "defaults::keep_events_days")]
    pub keep_events_days: u32,
    #[serde(default = "defaults::keep_days")]
    pub keep_runs_days: u32,
    /// The history of the users.
    #[serde(default = "defaults::keep_changes_days")]
    pub keep_changes_days: u32,
    #[serde(default = "defaults::keep_days")]
    pub keep_mails_days: u32,
    /// Users that their application no longer lists.
    #[serde(default = "defaults::keep_days")]
    pub keep_removed_users_days: u32,
    #[serde(default = "defaults::keep_days")]
    pub keep_audit_days: u32,
    /// The names and addresses in the audit log.
    #[serde(default = "defaults::keep_days")]
    pub keep_audit_names_days: u32,
}

/// The roles of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Run the API and the console.
    pub api: bool,
    /// Run the workers: sync, deletion, mail, schedule.
    pub workers: bool,
}

impl Roles {
    pub const BOTH: Roles = Roles { api: true, workers: true };
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

impl Settings {
    /// Reads the file, if given, and the environment.
    ///
    /// # Errors
    /// One line that names the setting at fault.
    pub fn load(file: Option<&Path>) -> Result<Self, String> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(format!("--config: there is no file {}", file.display()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let ignored = environment::service_variables();
        let keys: Vec<&str> = ignored.iter().map(String::as_str).collect();
        let environment = Env::prefixed(environment::PREFIX).ignore(&keys);
        let mut settings: Settings = figment.merge(environment).extract().map_err(|error| describe(&error))?;
        settings.read_secret_files()?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        for (name, url, example) in [
            ("public_url", &self.public_url, "https://muster.example.com"),
            ("otlp_endpoint", &self.otlp_endpoint, "http://localhost:4318"),
            ("https_proxy", &self.https_proxy, "http://proxy.example.com:3128"),
        ] {
            if url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https") || url.host().is_none()) {
                return Err(format!("setting {name}: must be an http or https address, such as {example}"));
            }
        }
        if let Some(url) = &self.public_url
            && (url.query().is_some()
                || url.fragment().is_some()
                || !url.username().is_empty()
                || url.password().is_some())
        {
            return Err("setting public_url: must have no user, query or fragment".into());
        }
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            let missing = if self.tls_cert_file.is_some() { "tls_key_file" } else { "tls_cert_file" };
            return Err(format!("setting {missing}: is not set; set both tls_cert_file and tls_key_file, or neither"));
        }
        self.certificate_authorities()?;
        self.oidc()?;
        self.parse_database()?;
        if !(3..=1000).contains(&self.database_connections) {
            return Err("setting database_connections: must be from 3 to 1000".into());
        }
        if !(1..=2048).contains(&self.sync_concurrency) {
            return Err("setting sync_concurrency: must be from 1 to 2048".into());
        }
        if self.max_connections == 0 || self.max_connections_per_address == 0 {
            let name = if self.max_connections == 0 { "max_connections" } else { "max_connections_per_address" };
            return Err(format!("setting {name}: must be 1 or more"));
        }
        if self.removal_guard_percent > 100 {
            return Err("setting removal_guard_percent: must be from 0 to 100".into());
        }
        if self.growth_guard_factor == 0 {
            return Err("setting growth_guard_factor: must be 1 or more".into());
        }
        if self.max_users_per_instance == 0 {
            return Err("setting max_users_per_instance: must be 1 or more".into());
        }
        for (name, days) in [
            ("keep_events_days", self.keep_events_days),
            ("keep_runs_days", self.keep_runs_days),
            ("keep_changes_days", self.keep_changes_days),
            ("keep_mails_days", self.keep_mails_days),
            ("keep_removed_users_days", self.keep_removed_users_days),
            ("keep_audit_days", self.keep_audit_days),
            ("keep_audit_names_days", self.keep_audit_names_days),
        ] {
            if days > MAX_KEEP_DAYS {
                return Err(format!("setting {name}: must be from 1 to {MAX_KEEP_DAYS}, or 0 for ever"));
            }
        }
        tracing_subscriber::EnvFilter::try_new(&self.log).map_err(|error| format!("setting log: {error}"))?;
        Ok(())
    }

    pub fn secret_key_file(&self) -> PathBuf {
        self.secret_key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"))
    }

    /// The files with the certificate and the key of the server, if it serves TLS itself.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_cert_file.as_deref().zip(self.tls_key_file.as_deref())
    }

    /// The folder of mails that are written as files.
    pub fn mail_dir(&self) -> PathBuf {
        self.data_dir.join("mail")
    }

    /// The location of the database.
    ///
    /// # Errors
    /// One line that names the setting but not its value, which may contain a password.
    pub fn database(&self) -> Result<Location, String> {
        Ok(self.parse_database()?.location)
    }

    fn parse_database(&self) -> Result<ParsedUrl, String> {
        match &self.database_url {
            Some(url) => {
                let parsed = Location::parse(url, self.ca_file.as_deref());
                parsed.map_err(|error| format!("setting database_url: {error}"))
            }
            None => Ok(Location::Sqlite(self.data_dir.join("muster.db")).into()),
        }
    }

    /// Warnings for the administrator about environment variables and settings that have no effect.
    pub fn warnings(&self) -> Vec<String> {
        let ignored = environment::warning(&environment::service_variables());
        let of_database = self.parse_database().map(|parsed| parsed.warnings);
        let unknown = (self.public_url.is_none() && self.listen.ip().is_unspecified()).then(|| {
            let address = self.public_url();
            format!("MUSTER_PUBLIC_URL is not set: links in mails begin with {address}, which nobody can open; set it to the address under which people reach this server")
        });
        let plain = (!self.has_secure_context()).then(|| {
            let address = self.public_url();
            format!("{address} is not https: passwords and sessions can be read on the way; serve TLS, and set MUSTER_PUBLIC_URL to the https address (docs/operations.md, TLS)")
        });
        ignored
            .into_iter()
            .chain(of_database.unwrap_or_default())
            .chain(unknown)
            .chain(plain)
            .chain(self.open_secret_files())
            .collect()
    }

    /// The certificate authorities of `ca_file`, in PEM.
    ///
    /// # Errors
    /// One line that names the setting.
    pub fn certificate_authorities(&self) -> Result<Option<Vec<u8>>, String> {
        let Some(file) = &self.ca_file else { return Ok(None) };
        let error = |error: &dyn std::fmt::Display| format!("setting ca_file: {}: {error}", file.display());
        let pem = std::fs::read(file).map_err(|cause| error(&cause))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(found) if !found.is_empty() => Ok(Some(pem)),
            Ok(_) => Err(error(&"there is no certificate in PEM form")),
            Err(cause) => Err(error(&cause)),
        }
    }

    /// Sets the location of the database; `None` means a SQLite file in the data folder.
    pub fn set_database(&mut self, url: Option<String>) {
        self.database_url = url;
    }
}

/// The names of all settings.
fn names() -> &'static [&'static str] {
    match Figment::from(("no setting", 1)).extract::<Settings>().map_err(|error| error.kind) {
        Err(figment::error::Kind::UnknownField(_, known)) => known,
        _ => &[],
    }
}

/// Describes only the first error, on one line.
fn describe(error: &figment::Error) -> String {
    let name = error.path.join(".");
    match &error.kind {
        figment::error::Kind::UnknownField(field, known) => {
            let meant = closest(field, known.iter().copied());
            let meant = meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            let name = field.to_uppercase();
            format!("setting {field}: there is no such setting (MUSTER_{name} in the environment){meant}")
        }
        _ if name == "listen" => {
            "setting listen: must be an IP address and a port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for all addresses".into()
        }
        _ if name == "public_url" => "setting public_url: must be an http or https address, such as https://muster.example.com".into(),
        kind if name.is_empty() => on_one_line(&format!("settings: {kind}")),
        kind => on_one_line(&format!("setting {name}: {kind}")),
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
