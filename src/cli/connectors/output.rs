//! The output of the commands for authors of manifests.

use std::fmt::Display;
use std::io::{self, Write as _};

/// The standard output, until nobody reads it any more: `muster connectors try … | head`.
#[derive(Default)]
pub struct Output {
    failure: Option<io::Error>,
}

impl Output {
    pub fn line(&mut self, text: impl Display) {
        if self.failure.is_none() {
            self.failure = writeln!(io::stdout().lock(), "{text}").err();
        }
    }

    /// Whether a line could not be written, so that there is no use in more of them.
    pub fn has_ended(&self) -> bool {
        self.failure.is_some()
    }

    /// That the reader of a pipe has gone is no failure of the command.
    pub fn finish(self) -> Result<(), String> {
        match self.failure {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("cannot write the output: {error}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
