//! The server, as sea-orm's driver understands its URL.

use std::str::FromStr;
use std::sync::Arc;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::{self, ConnectOptions};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};

use super::line::Connection;
use super::tls::{Encrypt, Pem, Tls};
use crate::db::STATEMENT;
use crate::db::postgres::session;
use crate::db::rows::fault::Fault;

/// The statements read a page in the order of an index. Their plans must depend neither on statistics, which may be
/// old or missing, nor on the values that happen to come first.
const PLANNER: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_sort", "off"),
    ("enable_incremental_sort", "off"),
    ("enable_seqscan", "off"),
    // Reads all entries of a range before the first row.
    ("enable_bitmapscan", "off"),
];

/// Where to connect, and how.
pub(super) struct Target {
    config: Config,
    tls: Tls,
}

impl Target {
    pub(super) fn new(url: &str) -> Result<Self, sqlx::Error> {
        let options = session(PgConnectOptions::from_str(url)?, STATEMENT).options(PLANNER);
        // What the driver has no functions for, such as the password that a file or the environment gave.
        let all = options.to_url_lossy();
        let mut config = Config::new();
        match options.get_socket() {
            Some(directory) => config.host_path(directory),
            None => config.host(options.get_host()),
        };
        config.port(options.get_port()).user(options.get_username());
        if let Some(password) = all.password() {
            config.password(percent_encoding::percent_decode_str(password).collect::<Vec<u8>>());
        }
        if let Some(database) = options.get_database() {
            config.dbname(database);
        }
        if let Some(name) = options.get_application_name() {
            config.application_name(name);
        }
        if let Some(settings) = options.get_options() {
            config.options(settings);
        }
        config.ssl_mode(match options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
            PgSslMode::Prefer => SslMode::Prefer,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => SslMode::Require,
        });
        let pem = |name: &str| all.query_pairs().find(|(key, _)| key == name).map(|(_, text)| Pem::from_url(&text));
        let tls = Tls {
            mode: options.get_ssl_mode(),
            authorities: pem("sslrootcert"),
            certificate: pem("sslcert"),
            key: pem("sslkey"),
        };
        Ok(Self { config, tls })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Connection), Fault> {
        let config = match self.config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Arc::new(self.tls.config().map_err(Fault::tls)?)),
        };
        Ok(self.config.connect(Encrypt { config, name: None }).await?)
    }
}
