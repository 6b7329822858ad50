//! Makes text from outside safe to show on one line.

/// Puts `text` on one line of at most `limit` characters. Line breaks and other control characters become spaces, and
/// several spaces become one. Characters that are invisible or change the direction of writing are removed. A text that
/// is cut ends with `…`.
pub fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = true;
            continue;
        }
        if is_deceptive(c) {
            continue;
        }
        let needed = 1 + usize::from(gap && length > 0);
        if length + needed > limit {
            while length >= limit.max(1) {
                line.pop();
                length -= 1;
            }
            line.truncate(line.trim_end().len());
            line.push('…');
            return line;
        }
        if gap && length > 0 {
            line.push(' ');
        }
        line.push(c);
        length += needed;
        gap = false;
    }
    line
}

/// True if a character is invisible or changes how its neighbours are shown. The joiners U+200C and U+200D are
/// allowed, because some scripts and emoji need them.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn control_characters_become_spaces_and_direction_marks_vanish() {
        for (given, expected) in [
            ("Acme HQ", "Acme HQ"),
            ("  Acme \t\r\n HQ\0 ", "Acme HQ"),
            ("Eve\r\nBcc: x@y", "Eve Bcc: x@y"),
            ("abc\u{202E}txt\u{2066}!\u{200B}", "abctxt!"),
            ("کتاب\u{200C}ها", "کتاب\u{200C}ها"),
            ("\u{1b}[31mred", "[31mred"),
            ("", ""),
        ] {
            assert_eq!(one_line(given, 80), expected, "{given:?}");
        }
    }

    #[test]
    fn a_cut_is_marked_and_keeps_the_limit() {
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!(one_line("abcde fgh", 7), "abcde…");
        assert_eq!(one_line("äöüäöü", 4), "äöü…");
        assert_eq!(one_line(&"x".repeat(10_000), 80).chars().count(), 80);
    }
}
