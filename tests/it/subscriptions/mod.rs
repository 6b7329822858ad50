//! What subscribers hear.

mod progress;
mod resume;
mod states;
