#![doc = include_str!("../README.md")]
// `println!` panics when nobody reads the output any more: `say!` of the command line does not.
#![warn(clippy::print_stdout)]

pub mod app;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod db;
pub mod directory;
pub mod doctor;
pub mod encoding;
pub mod error;
pub mod events;
pub mod files;
pub mod findings;
pub mod graphql;
pub mod installation;
pub mod instance;
pub mod jobs;
pub mod mail;
pub mod maintenance;
pub mod notification;
pub mod oidc;
pub mod people;
pub mod queue;
pub mod secrets;
pub mod server;
pub mod spelling;
pub mod spend;
pub mod sync;
pub mod telemetry;
pub mod webhook;

/// It is in the crate `integration`, because both crates need it.
pub use integration::backoff;

/// Of the library, so that benchmarks and tests run with the allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
