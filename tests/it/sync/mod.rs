//! What instances do: the rules of their state, met from outside with a rehearsed application.

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
