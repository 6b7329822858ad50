//! Findings and figures. The applications are real peers; what is expected is computed anew from the list of users.

mod alike;
pub mod application;
mod digest;
mod exceptions;
mod killed;
mod lifecycle;
mod settings;
mod trend;
mod world;
