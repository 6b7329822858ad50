//! Names in `docs/architecture.md`, as in `path` (`name`, `name`), exist in the file at that path.

use std::fs;

use super::{Page, root};

/// The names in parentheses after a path, such as " (`write`, `Tx`) …".
fn names_after(rest: &str) -> Vec<&str> {
    let Some((inside, _)) = rest.strip_prefix(" (").and_then(|rest| rest.split_once(')')) else { return Vec::new() };
    inside.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_name_that_follows_a_path_is_in_that_file() {
    let page = Page::open("docs/architecture.md");
    let mut count = 0;
    for (path, rest) in page.code_spans() {
        for name in names_after(rest) {
            let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            let words = |c: char| !c.is_alphanumeric() && c != '_';
            assert!(text.split(words).any(|word| word == name), "{path} does not contain {name}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} names were found");
}
