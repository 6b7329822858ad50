//! How long a file and a resolver may be. The length of other functions is checked by clippy.

use std::fs;

use super::sources;
use crate::architecture::{files, root, short};

const FILE: usize = 400;
const RESOLVER: usize = 30;

#[test]
fn no_file_is_longer_than_400_lines() {
    for folder in ["src", "entity", "migration", "tests", "benches"] {
        for path in files(&root().join(folder)) {
            let name = short(&path);
            // What others wrote, or a program.
            if path.ends_with("package-lock.json") || name.starts_with("src/console/vendor") {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let lines = text.lines().count();
            assert!(lines <= FILE, "{name} has {lines} lines, and {FILE} are allowed");
        }
    }
}

#[test]
fn no_resolver_is_longer_than_30_lines() {
    let mut resolvers = 0;
    for source in sources(&["src/graphql"]) {
        for (line, length) in functions_of_api_types(&source.text) {
            resolvers += 1;
            assert!(
                length <= RESOLVER,
                "the resolver at {}:{line} has {length} lines, and {RESOLVER} are allowed",
                source.path
            );
        }
    }
    assert!(resolvers > 50, "{resolvers} resolvers were found");
}

/// The first line and the length of each function in an implementation marked `#[Object]` or `#[Subscription]`.
/// Relies on rustfmt: a block ends where its first line begins.
fn functions_of_api_types(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut marked, mut inside) = (false, false);
    let mut start = None;
    for (number, line) in (1..).zip(text.lines()) {
        let item = line.trim_start();
        match line.len() - item.len() {
            0 if item.starts_with("#[") => {
                marked |= ["Object", "Subscription"].iter().any(|name| is_attribute(item, name));
            }
            0 if item.starts_with("impl") => inside = std::mem::take(&mut marked),
            0 if item.starts_with('}') => inside = false,
            0 if !item.is_empty() && !item.starts_with("//") && !item.starts_with(')') => marked = false,
            4 if inside && is_function(item) => start = Some(number),
            4 if item.starts_with('}') => found.extend(start.take().map(|start| (start, number - start + 1))),
            _ => {}
        }
    }
    found
}

fn is_attribute(line: &str, name: &str) -> bool {
    let path = line.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
    path == name || path.ends_with(&format!("::{name}"))
}

fn is_function(item: &str) -> bool {
    let words: Vec<&str> = item.split_whitespace().take(4).collect();
    words.contains(&"fn")
}

#[test]
fn the_functions_of_api_types_are_found() {
    let text = "struct Query;\n\n#[Object]\nimpl Query {\n    /// One.\n    async fn one(&self) -> i32 {\n        1\n    }\n\n    \
        #[graphql(complexity = \"1\")]\n    pub async fn two(\n        &self,\n    ) -> i32 {\n        2\n    }\n}\n\nimpl Query {\n    \
        fn three() {\n    }\n}\n";
    assert_eq!(functions_of_api_types(text), [(6, 3), (11, 5)]);
}
