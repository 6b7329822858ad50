//! The integration tests, in one binary. They use the server from outside, over real sockets.

mod access;
mod architecture;
mod chaos;
mod connector_schema;
mod connector_trial;
mod connectors;
mod console;
mod database;
mod docs;
mod errors;
mod jobs;
mod limits;
mod maintenance;
mod mutations;
mod oauth;
mod peers;
mod persisted;
mod process;
mod queries;
mod rules;
mod schema;
mod subscriptions;
mod support;
mod sync;
mod transports;
mod trouble;
