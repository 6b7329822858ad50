//! What mutations accept, and what they refuse without changing anything.

mod create;
mod ids;
mod recipients;
mod update;

/// Names that are blank, or that people cannot read or distinguish.
const BAD_NAMES: [&str; 9] = ["", "   ", "\t\n", "a\nb", "a\u{0}b", "a\u{7f}b", "a\u{202e}b", "a\u{2066}b", "\u{200b}"];
