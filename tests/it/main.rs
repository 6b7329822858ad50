//! The one integration-test binary: the server from outside, over real sockets.

mod access;
mod architecture;
mod errors;
mod jobs;
mod limits;
mod mutations;
mod peers;
mod process;
mod queries;
mod readme;
mod schema;
mod subscriptions;
mod support;
mod sync;
mod transports;
