//! The README and the pages of `docs`: their examples work, their links are valid, and what they name exists.

use std::fs;
use std::path::{Path, PathBuf};

mod architecture;
mod bill;
mod examples;
mod limits;
mod links;
mod reference;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page of the documentation.
pub struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    /// A page by its path from the root of the repository.
    pub fn open(name: &str) -> Page {
        let path = root().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        Page { path, text }
    }

    /// The README and every page of `docs`.
    fn all() -> Vec<Page> {
        let folder = fs::read_dir(root().join("docs")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> =
            names.filter_map(|name| Some(format!("docs/{}.md", name.strip_suffix(".md")?))).collect();
        names.sort();
        names.push("README.md".into());
        names.iter().map(|name| Page::open(name)).collect()
    }

    /// The lines outside of code blocks.
    pub fn prose(&self) -> impl Iterator<Item = &str> {
        self.text.split("```").step_by(2).flat_map(str::lines)
    }

    /// The texts between backticks, with the part of the line that follows.
    fn code_spans(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for line in self.prose() {
            let mut rest = line;
            while let Some((_, after)) = rest.split_once('`') {
                let Some((span, after)) = after.split_once('`') else { break };
                found.push((span, after));
                rest = after;
            }
        }
        found
    }

    /// The cells of the rows of its tables.
    pub fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        self.prose()
            .filter_map(|line| Some(line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim).collect()))
    }
}
