//! The default values of settings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{LogFormat, Settings};

impl Settings {
    /// The default settings of an installation in `data_dir`.
    pub fn defaults(data_dir: &Path) -> Self {
        Settings {
            listen: listen(),
            data_dir: data_dir.to_path_buf(),
            database_url: None,
            database_url_file: None,
            database_connections: database_connections(),
            public_url: None,
            secret_key_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            ca_file: None,
            smtp_url: None,
            smtp_url_file: None,
            smtp_helo_name: None,
            mail_from: mail_from(),
            connectors_dir: None,
            allowed_networks: Vec::new(),
            oidc_issuer: None,
            oidc_client_id: None,
            oidc_client_secret: None,
            oidc_client_secret_file: None,
            oidc_scopes: oidc_scopes(),
            oidc_groups_claim: oidc_groups_claim(),
            oidc_roles: None,
            oidc_default_role: None,
            oidc_label: oidc_label(),
            https_proxy: None,
            https_proxy_file: None,
            log: log(),
            log_format: LogFormat::default(),
            otlp_endpoint: None,
            otlp_endpoint_file: None,
            introspection: on(),
            max_connections: max_connections(),
            max_connections_per_address: max_connections_per_address(),
            trusted_proxies: Vec::new(),
            token_operations: token_operations(),
            token_sockets: token_sockets(),
            token_subscriptions: token_subscriptions(),
            token_requests_per_minute: token_requests_per_minute(),
            token_cost_per_minute: token_cost_per_minute(),
            token_test_mails_per_hour: token_test_mails_per_hour(),
            sync_concurrency: sync_concurrency(),
            removal_guard_percent: guard_percent(),
            removal_guard_minimum: guard_minimum(),
            growth_guard_factor: growth_factor(),
            growth_guard_minimum: growth_minimum(),
            max_users_per_instance: max_users_per_instance(),
            keep_events_days: keep_events_days(),
            keep_runs_days: keep_days(),
            keep_changes_days: keep_changes_days(),
            keep_mails_days: keep_days(),
            keep_removed_users_days: keep_days(),
            keep_audit_days: keep_days(),
            keep_audit_names_days: keep_days(),
        }
    }
}

pub(super) fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

pub(super) fn data_dir() -> PathBuf {
    PathBuf::from("./muster-data")
}

pub(super) fn mail_from() -> String {
    "Muster <muster@localhost>".into()
}

pub(super) fn log() -> String {
    "info".into()
}

pub(super) fn oidc_scopes() -> String {
    "openid profile email".into()
}

pub(super) fn oidc_groups_claim() -> String {
    "groups".into()
}

pub(super) fn oidc_label() -> String {
    "Sign in with your company account".into()
}

pub(super) fn on() -> bool {
    true
}

pub(super) fn database_connections() -> u32 {
    20
}

pub(super) fn max_connections() -> usize {
    20_000
}

pub(super) fn max_connections_per_address() -> usize {
    500
}

pub(super) fn token_operations() -> usize {
    16
}

pub(super) fn token_sockets() -> usize {
    50
}

pub(super) fn token_subscriptions() -> usize {
    200
}

pub(super) fn token_requests_per_minute() -> u32 {
    12_000
}

pub(super) fn token_cost_per_minute() -> u32 {
    3_000_000
}

pub(super) fn token_test_mails_per_hour() -> u32 {
    20
}

pub(super) fn sync_concurrency() -> usize {
    512
}

pub(super) fn guard_percent() -> u8 {
    20
}

pub(super) fn guard_minimum() -> u32 {
    10
}

pub(super) fn growth_factor() -> u32 {
    3
}

pub(super) fn growth_minimum() -> u32 {
    1_000
}

pub(super) fn max_users_per_instance() -> u32 {
    2_000_000
}

pub(super) fn keep_events_days() -> u32 {
    30
}

pub(super) fn keep_changes_days() -> u32 {
    730
}

pub(super) fn keep_days() -> u32 {
    400
}
