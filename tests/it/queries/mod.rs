//! Queries: lists with their orders and filters, single objects, and the number of statements.

mod answers;
mod audit;
pub mod csv;
mod events;
mod export;
mod feed;
mod history;
mod instances;
mod names;
mod newer;
mod nodes;
mod past;
pub mod reports;
mod search;
mod standing;
mod statements;
mod totals;
mod users;
mod written;
