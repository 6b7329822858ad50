//! What can be read: lists, their order and filters, single things, and what reading costs.

mod audit;
mod history;
mod instances;
mod nodes;
mod statements;
mod users;
