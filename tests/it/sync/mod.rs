//! The behaviour of instances, tested through the API with the rehearsal application.

mod baseline;
mod capabilities;
mod deletion;
mod fields;
mod growth;
mod guard;
mod lifecycle;
mod outcomes;
mod revocation;
mod schedule;
mod story;
mod transitions;
mod trouble;
