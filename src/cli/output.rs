//! The standard output of all commands.
//!
//! Who reads it may leave (`muster member list | head`). A command goes on with its work then, and has not failed.

use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::sync::OnceLock;

/// Why no more can be written.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Like `println!`, which would end the command when nobody reads any more.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::output::line(format_args!($($words)*)) };
}
pub(super) use say;

pub fn line(text: Arguments<'_>) {
    if !has_ended()
        && let Err(error) = writeln!(io::stdout().lock(), "{text}")
    {
        let _ = FAILURE.set(error);
    }
}

/// Whether a line could not be written, so that there is no use in more of them.
pub fn has_ended() -> bool {
    FAILURE.get().is_some()
}

/// That the reader of a pipe has gone is no failure of the command; that the disk is full is one.
pub fn finish() -> Result<(), String> {
    match FAILURE.get() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write the output: {error}")),
        Some(_) | None => Ok(()),
    }
}
