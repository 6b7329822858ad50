//! Makes texts fit the services that show them: escaped, and cut at a word.

/// Writes a character as a service wants it.
pub type Escape = fn(char, &mut String);

/// As it is.
pub fn plain(c: char, out: &mut String) {
    out.push(c);
}

/// For Slack: the three characters of its markup, with which links and mentions begin as well.
pub fn slack(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        c => out.push(c),
    }
}

/// For Markdown as chats understand it. After an `@`, an invisible character ends what could be a mention.
pub fn markdown(c: char, out: &mut String) {
    match c {
        '@' => out.push_str("@\u{200B}"),
        '\\' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '<' | '>' | '#' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push(c),
    }
}

/// For cards of Google Chat, which understand some HTML.
pub fn html(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("&quot;"),
        c => slack(c, out),
    }
}

/// The text, escaped, in at most `limit` characters. If it is cut, it is cut at a word, and ends with `…`.
pub fn fit(text: &str, limit: usize, escape: Escape) -> String {
    let (mut out, mut length) = (String::new(), 0);
    // Where the text can be cut so that there is room for the mark: after a character, and after a word.
    let (mut last, mut word) = (0, 0);
    for c in text.chars() {
        if length < limit {
            last = out.len();
            if c.is_whitespace() {
                word = out.len();
            }
        }
        let before = out.len();
        escape(c, &mut out);
        length += out[before..].chars().count();
        if length > limit {
            let end = if word > last / 2 { word } else { last };
            out.truncate(end);
            out.truncate(out.trim_end().len());
            out.push('…');
            return out;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_a_word() {
        for (limit, fitted) in [
            (30, "The sync of Acme failed."),
            (24, "The sync of Acme failed."),
            (23, "The sync of Acme…"),
            (16, "The sync of…"),
            (3, "Th…"),
        ] {
            assert_eq!(fit("The sync of Acme failed.", limit, plain), fitted, "{limit}");
        }
        assert_eq!(fit("Aaaaaaaaaaaaaaaaaaaaaaaa b", 10, plain), "Aaaaaaaaa…");
        assert_eq!(fit("a&b&c", 7, slack), "a&amp;…", "what is escaped is not cut in its middle");
    }

    #[test]
    fn nothing_that_was_given_is_markup() {
        let given = "<!channel> & @here **all** [x](https://evil.example) `rm`";
        let told = fit(given, 1_000, slack);
        assert!(!told.contains('<') && told.starts_with("&lt;!channel&gt; &amp;"), "{told}");
        let told = fit(given, 1_000, markdown);
        assert!(!told.contains("@here") && told.contains(r"\*\*all\*\* \[x\]("), "{told}");
        assert!(!fit("<b>", 1_000, html).contains('<'));
    }

    proptest! {
        #[test]
        fn a_text_is_never_longer_than_it_may_be(text in any::<String>(), limit in 1_usize..200) {
            for escape in [plain, slack, markdown, html] {
                prop_assert!(fit(&text, limit, escape).chars().count() <= limit);
            }
        }
    }
}
