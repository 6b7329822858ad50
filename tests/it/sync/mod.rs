//! The behaviour of instances, tested through the API with the rehearsal application.

mod baseline;
mod capabilities;
mod crowd;
mod deletion;
mod fields;
mod growth;
mod guard;
mod lifecycle;
mod outcomes;
mod recovery;
mod revocation;
mod schedule;
mod storm;
mod story;
mod transitions;
mod trouble;
mod waiting;
