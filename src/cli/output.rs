//! The standard output of all commands.
//!
//! Who reads it may leave (`muster member list | head`). A command goes on with its work then, and has not failed.

use std::borrow::Cow;
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

/// A line for people.
pub fn line(text: Arguments<'_>) {
    data(&harmless(&text.to_string()));
}

/// A line for programs, such as JSON, of which nothing may be changed.
pub fn data(text: &str) {
    if !has_ended()
        && let Err(error) = writeln!(io::stdout().lock(), "{text}")
    {
        let _ = FAILURE.set(error);
    }
}

/// A text without what a terminal obeys: names in an application and on a server are whatever somebody wrote.
pub fn harmless(text: &str) -> Cow<'_, str> {
    // Controls, and what changes the direction or the lines of a text.
    let is_harmful = |letter: char| match letter {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => letter.is_control(),
    };
    if !text.contains(is_harmful) {
        return text.into();
    }
    let mut shown = String::new();
    for letter in text.chars() {
        if is_harmful(letter) { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown.into()
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

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        assert_eq!(harmless("Ann\u{1b}[2J\r\u{9b}1m\tÄ\n"), "Ann\\u{1b}[2J\\r\\u{9b}1m\tÄ\n");
        assert_eq!(harmless("{\n  \"a\": 1\n}"), "{\n  \"a\": 1\n}");
    }
}
