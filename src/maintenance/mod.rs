//! Maintenance of the stored data: [`retention`], [`keys`], [`backup`], [`restore`] and [`check`].
//!
//! Retention and keys work on both databases. Backup and restore are for SQLite only, because
//! PostgreSQL has its own tools. A backup is made while the server runs. A restore replaces
//! the database in one step: whenever it is interrupted, either the old database or the new
//! one is in place.

pub mod backup;
pub mod check;
pub mod keys;
pub mod restore;
pub mod retention;
mod seal;
mod sqlite_file;
