//! The settings: defaults, under a TOML file, under the environment.
//!
//! Every setting has one name: `MUSTER_LISTEN` in the environment is `listen` in the
//! file. A name that does not exist, or a value that does not fit, stops the start
//! with one line that names it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::db::Location;

/// The longest time for which things may be kept, but for good: a hundred years.
const LONGEST_DAYS: u32 = 36_500;

/// All settings, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the API and the console are served.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Where everything that is not in another database lives.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    database_url: Option<String>,
    /// How many connections this process keeps to PostgreSQL.
    #[serde(default = "default_database_connections")]
    pub database_connections: u32,
    public_url: Option<Url>,
    pub secret_key_file: Option<PathBuf>,
    /// None: mails are written as files.
    pub smtp_url: Option<String>,
    #[serde(default = "default_mail_from")]
    pub mail_from: String,
    pub connectors_dir: Option<PathBuf>,
    /// Private and loopback networks that connectors may call.
    #[serde(default, deserialize_with = "networks")]
    pub allowed_networks: Vec<IpNet>,
    #[serde(default = "default_log")]
    pub log: String,
    #[serde(default)]
    pub log_format: LogFormat,
    /// Whether clients may ask for the schema.
    #[serde(default = "yes", deserialize_with = "switch")]
    pub introspection: bool,
    /// How many sync runs go on at once.
    #[serde(default = "default_sync_concurrency")]
    pub sync_concurrency: usize,
    /// The removal guard holds a run that would remove more than this share of the users, in percent …
    #[serde(default = "default_guard_percent")]
    pub removal_guard_percent: u8,
    /// … and at least this many.
    #[serde(default = "default_guard_minimum")]
    pub removal_guard_minimum: u32,
    /// For how many days events are kept; 0 keeps them for good, as with all of these.
    #[serde(default = "default_keep_events_days")]
    pub keep_events_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_runs_days: u32,
    /// What runs changed about single users.
    #[serde(default = "default_keep_changes_days")]
    pub keep_changes_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_mails_days: u32,
    /// Users that are no longer listed.
    #[serde(default = "default_keep_days")]
    pub keep_removed_users_days: u32,
    #[serde(default = "default_keep_days")]
    pub keep_audit_days: u32,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Serves the API and the console.
    pub api: bool,
    /// Syncs, removes, mails, keeps the schedule.
    pub workers: bool,
}

impl Roles {
    pub const BOTH: Roles = Roles { api: true, workers: true };
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Settings {
    /// Reads the file, if there is one, and the environment.
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
        let settings: Settings = figment.merge(Env::prefixed("MUSTER_")).extract().map_err(|error| describe(&error))?;
        settings.check()?;
        Ok(settings)
    }

    /// The settings of a fresh installation in `data_dir`.
    pub fn defaults(data_dir: &Path) -> Self {
        Settings {
            listen: default_listen(),
            data_dir: data_dir.to_path_buf(),
            database_url: None,
            database_connections: default_database_connections(),
            public_url: None,
            secret_key_file: None,
            smtp_url: None,
            mail_from: default_mail_from(),
            connectors_dir: None,
            allowed_networks: Vec::new(),
            log: default_log(),
            log_format: LogFormat::default(),
            introspection: true,
            sync_concurrency: default_sync_concurrency(),
            removal_guard_percent: default_guard_percent(),
            removal_guard_minimum: default_guard_minimum(),
            keep_events_days: default_keep_events_days(),
            keep_runs_days: default_keep_days(),
            keep_changes_days: default_keep_changes_days(),
            keep_mails_days: default_keep_days(),
            keep_removed_users_days: default_keep_days(),
            keep_audit_days: default_keep_days(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.host().is_none())
        {
            return Err(
                "setting public_url: must be an http or https address, such as https://muster.example.com".into()
            );
        }
        self.database()?;
        if !(3..=1000).contains(&self.database_connections) {
            return Err("setting database_connections: must be from 3 to 1000".into());
        }
        if !(1..=64).contains(&self.sync_concurrency) {
            return Err("setting sync_concurrency: must be from 1 to 64".into());
        }
        if self.removal_guard_percent > 100 {
            return Err("setting removal_guard_percent: must be from 0 to 100".into());
        }
        for (name, days) in [
            ("keep_events_days", self.keep_events_days),
            ("keep_runs_days", self.keep_runs_days),
            ("keep_changes_days", self.keep_changes_days),
            ("keep_mails_days", self.keep_mails_days),
            ("keep_removed_users_days", self.keep_removed_users_days),
            ("keep_audit_days", self.keep_audit_days),
        ] {
            if days > LONGEST_DAYS {
                return Err(format!("setting {name}: must be from 1 to {LONGEST_DAYS}, or 0 for ever"));
            }
        }
        tracing_subscriber::EnvFilter::try_new(&self.log).map_err(|error| format!("setting log: {error}"))?;
        Ok(())
    }

    /// The address under which people and applications reach this server, without a trailing slash.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    pub fn secret_key_file(&self) -> PathBuf {
        self.secret_key_file.clone().unwrap_or_else(|| self.data_dir.join("secret.key"))
    }

    /// Where the database is.
    ///
    /// # Errors
    /// One line that names the setting, and nothing of its value.
    pub fn database(&self) -> Result<Location, String> {
        match &self.database_url {
            Some(url) => Location::parse(url).map_err(|error| format!("setting database_url: {error}")),
            None => Ok(Location::Sqlite(self.data_dir.join("muster.db"))),
        }
    }

    /// Sets where the database is; `None`: in the data folder.
    pub fn set_database(&mut self, url: Option<String>) {
        self.database_url = url;
    }
}

/// Only the first error, and where it stands: a start-up line has room for one thing to mend.
fn describe(error: &figment::Error) -> String {
    let name = error.path.join(".");
    match &error.kind {
        figment::error::Kind::UnknownField(field, _) => {
            format!("setting {field}: there is no such setting (MUSTER_{} in the environment)", field.to_uppercase())
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

fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
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
fn yes() -> bool {
    true
}
fn default_database_connections() -> u32 {
    20
}
fn default_sync_concurrency() -> usize {
    4
}
fn default_guard_percent() -> u8 {
    20
}
fn default_guard_minimum() -> u32 {
    10
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
