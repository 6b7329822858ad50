#![doc = include_str!("../README.md")]
#![allow(
    clippy::module_name_repetitions,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::doc_markdown,
    clippy::similar_names,
    clippy::match_same_arms,
    reason = "they ask for words that say nothing here"
)]

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
pub mod error;
pub mod events;
pub mod files;
pub mod graphql;
pub mod installation;
pub mod instance;
pub mod integration;
pub mod jobs;
pub mod keep;
pub mod mail;
pub mod notification;
pub mod queue;
pub mod secrets;
pub mod server;
pub mod sync;
pub mod telemetry;
