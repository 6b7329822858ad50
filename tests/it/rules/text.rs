//! What no source file may contain.

use std::fs;

use super::{Source, sources};
use crate::architecture::{files, root, short};

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{found:#?}");
}

/// The lines that match, with file and line number. Comments are skipped.
fn lines(sources: &[Source], wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = sources.iter().flat_map(|source| (1..).zip(source.text.lines()).map(move |line| (source, line)));
    numbered
        .filter(|(_, (_, line))| !line.trim_start().starts_with("//") && wrong(line))
        .map(|(source, (number, line))| format!("{}:{number}: {}", source.path, line.trim()))
        .collect()
}

/// With this type, `?` would send the text of an inner error to clients. Clippy cannot forbid it, because the macros
/// of async-graphql expand to it.
#[test]
fn no_resolver_returns_the_result_of_async_graphql() {
    let sources = sources(&["src"]);
    assert_none(&lines(&sources, |line| line.contains("async_graphql::Result")));
    for source in &sources {
        for group in source.text.split("use async_graphql::{").skip(1) {
            let group = group.split("};").next().unwrap_or_default();
            let imported = group.split([',', '{', '}']).any(|name| name.trim() == "Result");
            assert!(!imported, "{}: imports async_graphql::Result", source.path);
        }
    }
}

/// `Display` does not show the causes of an error; `chain` does.
#[test]
fn errors_are_logged_with_their_causes() {
    let sources =
        sources(&["src/db", "src/graphql", "src/instance", "src/jobs", "src/maintenance", "src/queue", "src/sync"]);
    assert_none(&lines(&sources, |line| line.contains("error = %error,") || line.contains("error = ?")));
}

/// The locks of the standard library can be poisoned, which every caller must handle. Those of `parking_lot` cannot.
#[test]
fn no_lock_can_be_poisoned() {
    let std_lock = |line: &str| {
        line.contains("PoisonError")
            || (line.contains("std::sync::") && ["Mutex", "RwLock", "Condvar"].iter().any(|lock| line.contains(lock)))
    };
    assert_none(&lines(&sources(&["src"]), std_lock));
}

#[test]
fn no_text_names_the_machine_it_was_written_on() {
    // In two parts, so that the search does not find this file.
    let places = [
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/wo", "rk/"),
        ("/tm", "p/"),
        ("file", ":///"),
        ("arti", "factory"),
        ("regist", "ry."),
    ];
    for path in files(root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if path.ends_with("Cargo.lock") || path.ends_with("LICENSE") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for (start, end) in places {
                assert!(!line.contains(&[start, end].concat()), "{}:{}: {line:.120}", short(&path), number + 1);
            }
        }
    }
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for source in lock.lines().filter(|line| line.starts_with("source = ")) {
        assert_eq!(source, "source = \"registry+https://github.com/rust-lang/crates.io-index\"");
    }
}
