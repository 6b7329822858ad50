//! The behaviour of instances, tested through the API with the rehearsal application.

mod deletion;
mod fields;
mod guard;
mod lifecycle;
mod outcomes;
mod revocation;
mod schedule;
mod story;
mod transitions;
mod trouble;
