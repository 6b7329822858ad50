//! Rules for the source text. The rules for layers are in [`crate::architecture`], those for single functions in
//! `.clippy.toml`.

use std::fs;

use crate::architecture::{files, root, short};

mod limits;
mod size;
mod text;

/// A source file of the product or its tests.
struct Source {
    /// From the root of the repository.
    path: String,
    text: String,
}

/// The Rust files below the given folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let paths = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let rust = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let found: Vec<_> =
        rust.map(|path| Source { path: short(&path), text: fs::read_to_string(&path).unwrap() }).collect();
    assert!(found.len() > 10, "{folders:?} have hardly any files");
    found
}
