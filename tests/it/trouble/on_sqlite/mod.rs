//! SQLite that has no room, and a machine whose clock jumps.

mod clock;
mod full;
