//! SQLite on a full disk, and a machine whose clock jumps.

mod clock;
mod full;
