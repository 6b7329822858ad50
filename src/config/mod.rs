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
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::db::{Location, ParsedUrl};
use crate::spelling::closest;

mod environment;
mod secret_files;

/// The maximum of the `keep_…_days` settings: a hundred years.
const MAX_KEEP_DAYS: u32 = 36_500;

/// All settings, validated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address that the server listens on.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The folder with the SQLite database, the secret key and mails that are written as files.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    database_url: Option<String>,
    database_url_file: Option<PathBuf>,
    /// How many connections this process keeps to PostgreSQL.
    #[serde(default = "default_database_connections")]
    pub database_connections: u32,
    public_url: Option<Url>,
    pub secret_key_file: Option<PathBuf>,
    /// A PEM file with certificate authorities that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Without it, mails are written as files.
    pub smtp_url: Option<String>,
    smtp_url_file: Option<PathBuf>,
    /// The host name with which we introduce ourselves to the mail server.
    pub smtp_helo_name: Option<String>,
    #[serde(default = "default_mail_from")]
    pub mail_from: String,
    pub connectors_dir: Option<PathBuf>,
    /// Private and loopback networks that connectors may send requests to.
    #[serde(default, deserialize_with = "networks")]
    pub allowed_networks: Vec<IpNet>,
    /// The proxy through which connectors send https requests.
    pub https_proxy: Option<Url>,
    https_proxy_file: Option<PathBuf>,
    #[serde(default = "default_log")]
    pub log: String,
    #[serde(default)]
    pub log_format: LogFormat,
    /// The OpenTelemetry collector that traces are sent to; `None`: they are not sent.
    pub otlp_endpoint: Option<Url>,
    otlp_endpoint_file: Option<PathBuf>,
    /// Whether clients may query the schema.
    #[serde(default = "default_true", deserialize_with = "on_or_off")]
    pub introspection: bool,
    /// The maximum number of concurrent sync runs. Most of the time, they wait for their applications.
    #[serde(default = "default_sync_concurrency")]
    pub sync_concurrency: usize,
    /// The removal guard stops a run that would remove more than this percentage of the users …
    #[serde(default = "default_guard_percent")]
    pub removal_guard_percent: u8,
    /// … and at least this many.
    #[serde(default = "default_guard_minimum")]
    pub removal_guard_minimum: u32,
    /// The growth guard stops a run that lists more than this many times as many users as the instance has …
    #[serde(default = "default_growth_factor")]
    pub growth_guard_factor: u32,
    /// … and at least this many more.
    #[serde(default = "default_growth_minimum")]
    pub growth_guard_minimum: u32,
    /// For how many days events are kept. In all `keep_…_days` settings 0 means for ever.
    #[serde(default = "default_keep_events_days")]
    pub keep_events_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_runs_days: u32,
    /// The changes that runs made to single users.
    #[serde(default = "default_keep_changes_days")]
    pub keep_changes_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_mails_days: u32,
    /// Users that their application no longer lists.
    #[serde(default = "default_keep_days")]
    pub keep_removed_users_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_audit_days: u32,
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

    /// The default settings of an installation in `data_dir`.
    pub fn defaults(data_dir: &Path) -> Self {
        Settings {
            listen: default_listen(),
            data_dir: data_dir.to_path_buf(),
            database_url: None,
            database_url_file: None,
            database_connections: default_database_connections(),
            public_url: None,
            secret_key_file: None,
            ca_file: None,
            smtp_url: None,
            smtp_url_file: None,
            smtp_helo_name: None,
            mail_from: default_mail_from(),
            connectors_dir: None,
            allowed_networks: Vec::new(),
            https_proxy: None,
            https_proxy_file: None,
            log: default_log(),
            log_format: LogFormat::default(),
            otlp_endpoint: None,
            otlp_endpoint_file: None,
            introspection: true,
            sync_concurrency: default_sync_concurrency(),
            removal_guard_percent: default_guard_percent(),
            removal_guard_minimum: default_guard_minimum(),
            growth_guard_factor: default_growth_factor(),
            growth_guard_minimum: default_growth_minimum(),
            keep_events_days: default_keep_events_days(),
            keep_runs_days: default_keep_days(),
            keep_changes_days: default_keep_changes_days(),
            keep_mails_days: default_keep_days(),
            keep_removed_users_days: default_keep_days(),
            keep_audit_days: default_keep_days(),
        }
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
        self.certificate_authorities()?;
        self.parse_database()?;
        if !(3..=1000).contains(&self.database_connections) {
            return Err("setting database_connections: must be from 3 to 1000".into());
        }
        if !(1..=2048).contains(&self.sync_concurrency) {
            return Err("setting sync_concurrency: must be from 1 to 2048".into());
        }
        if self.removal_guard_percent > 100 {
            return Err("setting removal_guard_percent: must be from 0 to 100".into());
        }
        if self.growth_guard_factor == 0 {
            return Err("setting growth_guard_factor: must be 1 or more".into());
        }
        for (name, days) in [
            ("keep_events_days", self.keep_events_days),
            ("keep_runs_days", self.keep_runs_days),
            ("keep_changes_days", self.keep_changes_days),
            ("keep_mails_days", self.keep_mails_days),
            ("keep_removed_users_days", self.keep_removed_users_days),
            ("keep_audit_days", self.keep_audit_days),
        ] {
            if days > MAX_KEEP_DAYS {
                return Err(format!("setting {name}: must be from 1 to {MAX_KEEP_DAYS}, or 0 for ever"));
            }
        }
        tracing_subscriber::EnvFilter::try_new(&self.log).map_err(|error| format!("setting log: {error}"))?;
        Ok(())
    }

    /// The address at which people and applications reach this server, without a trailing slash.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    pub fn secret_key_file(&self) -> PathBuf {
        self.secret_key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"))
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
        ignored.into_iter().chain(of_database.unwrap_or_default()).collect()
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
        kind if name.is_empty() => on_one_line(&format!("settings: {kind}")),
        kind => on_one_line(&format!("setting {name}: {kind}")),
    }
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        List(Vec<String>),
    }
    let items = match Form::deserialize(deserializer)? {
        Form::Text(text) => text.split([',', ' ']).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        Form::List(items) => items,
    };
    items
        .iter()
        .map(|item| {
            item.parse::<IpNet>()
                .or_else(|_| item.parse::<std::net::IpAddr>().map(IpNet::from))
                .map_err(|_| serde::de::Error::custom(format!("\"{item}\" is not a network such as 10.0.0.0/8")))
        })
        .collect()
}

fn on_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Bool(bool),
        Text(String),
    }
    match Form::deserialize(deserializer)? {
        Form::Bool(value) => Ok(value),
        Form::Text(text) => match text.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(serde::de::Error::custom("must be on or off")),
        },
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}
fn default_data_dir() -> PathBuf {
    PathBuf::from("./muster-data")
}
fn default_mail_from() -> String {
    "Muster <muster@localhost>".into()
}
fn default_log() -> String {
    "info".into()
}
fn default_true() -> bool {
    true
}
fn default_database_connections() -> u32 {
    20
}
fn default_sync_concurrency() -> usize {
    512
}
fn default_guard_percent() -> u8 {
    20
}
fn default_guard_minimum() -> u32 {
    10
}
fn default_growth_factor() -> u32 {
    3
}
fn default_growth_minimum() -> u32 {
    1_000
}
fn default_keep_events_days() -> u32 {
    30
}
fn default_keep_changes_days() -> u32 {
    90
}
fn default_keep_days() -> u32 {
    400
}
