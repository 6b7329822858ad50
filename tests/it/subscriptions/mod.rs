//! What subscribers hear.

mod progress;
mod resume;
pub mod states;
