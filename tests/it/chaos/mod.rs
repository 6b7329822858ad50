//! The chaos suite: see [`on_postgres`].

pub mod on_postgres;
