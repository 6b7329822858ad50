//! Counts tokens and brackets in the bytes of a document. The parser recurses for every bracket, so that
//! they must be counted before, without recursion.

/// The most lexical tokens in a document.
pub const MAX_TOKENS: usize = 2_000;
/// The most brackets of any kind that are open at once.
pub const MAX_NESTING: usize = 32;

/// Why a document is not parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanError {
    TooManyTokens,
    NestedTooDeeply,
    /// The parser would fail at this string, but it might first read the text after the opening
    /// quotes as something else. The scan and the parser must see the same brackets.
    UnterminatedString,
}

/// Stops at the first limit that is exceeded.
pub(super) fn check(document: &str) -> Result<(), ScanError> {
    let bytes = document.as_bytes();
    let (mut at, mut tokens, mut nesting) = (0, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += run(&bytes[at..], |b| b != b'\n' && b != b'\r');
                continue;
            }
            b'"' => at = end_of_string(bytes, at).ok_or(ScanError::UnterminatedString)?,
            b'{' | b'[' | b'(' => {
                nesting += 1;
                at += 1;
            }
            b'}' | b']' | b')' => {
                nesting = nesting.saturating_sub(1);
                at += 1;
            }
            b'.' => at += run(&bytes[at..], |b| b == b'.'),
            b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                at += run(&bytes[at..], |b| b == b'_' || b.is_ascii_alphanumeric());
            }
            _ => at += 1,
        }
        tokens += 1;
        if tokens > MAX_TOKENS {
            return Err(ScanError::TooManyTokens);
        }
        if nesting > MAX_NESTING {
            return Err(ScanError::NestedTooDeeply);
        }
    }
    Ok(())
}

/// How many bytes in a row match, from the first on.
fn run(bytes: &[u8], matches: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| matches(**byte)).count()
}

/// The position after the string or block string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    const TRIPLE: &[u8] = br#"""""#;
    let block = bytes[start..].starts_with(TRIPLE);
    let mut at = start + if block { 3 } else { 1 };
    loop {
        let rest = bytes.get(at..)?;
        match (block, rest.first()?) {
            (true, b'"') if rest.starts_with(TRIPLE) => return Some(at + 3),
            (true, b'\\') if rest[1..].starts_with(TRIPLE) => at += 4,
            (false, b'"') => return Some(at + 1),
            (false, b'\n' | b'\r') => return None,
            (false, b'\\') => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}a{}", "{a".repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn brackets_count_and_those_in_strings_and_comments_do_not() {
        assert_eq!(check(&nested(MAX_NESTING)), Ok(()));
        assert_eq!(check(&nested(MAX_NESTING + 1)), Err(ScanError::NestedTooDeeply));
        assert_eq!(check(&nested(1_000_000)), Err(ScanError::NestedTooDeeply));
        let quoted = "[".repeat(1000);
        assert_eq!(check(&format!(r#"{{a(b:"{quoted}")}}"#)), Ok(()));
        assert_eq!(check(&format!(r#"{{a(b:"""{quoted}\""" "" {quoted}""")}}"#)), Ok(()));
        assert_eq!(check(&format!("{{a}} #{quoted}\n")), Ok(()));
        assert_eq!(check(&format!("{{a(b:[[ # \" \n {quoted}")), Err(ScanError::NestedTooDeeply));
        assert_eq!(check(&format!(r#"{{a(b:"\\" {quoted}"#)), Err(ScanError::NestedTooDeeply));
    }

    #[test]
    fn an_open_string_hides_nothing() {
        // The parser, failing to find the end of the block string, reads an empty string, a
        // second string, and then a thousand lists.
        let lists = "[".repeat(1000);
        for document in [
            format!(r#"{{a(b:[""" [ " {lists}"#),
            format!("{{a(b:[\" \n {lists}"),
            r#"{a(b:"\"#.to_owned(),
            r#"{a(b:"abc"#.to_owned(),
        ] {
            assert_eq!(check(&document), Err(ScanError::UnterminatedString), "{document}");
        }
    }

    #[test]
    fn tokens_count_and_what_the_grammar_ignores_does_not() {
        assert_eq!(check(&"a ".repeat(MAX_TOKENS)), Ok(()));
        assert_eq!(check(&"a ".repeat(MAX_TOKENS + 1)), Err(ScanError::TooManyTokens));
        assert_eq!(check(&", \t\r\n".repeat(MAX_TOKENS)), Ok(()));
        assert_eq!(check(&"é".repeat(MAX_TOKENS)), Err(ScanError::TooManyTokens));
        assert_eq!(check(&"a...b".repeat(MAX_TOKENS / 3)), Ok(()));
    }
}
