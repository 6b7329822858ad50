//! Everything breaks, over and over; see [`on_postgres`].

pub mod on_postgres;
