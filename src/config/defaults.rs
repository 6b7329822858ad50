//! The default values of settings.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    90
}

pub(super) fn keep_days() -> u32 {
    400
}
