//! Links and paths.

use std::collections::BTreeSet;

use super::{Page, root};

impl Page {
    /// The anchors of the headings, as GitHub generates them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let text = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
        let plain = text.map(|text| text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).collect());
        plain.map(|text: String| text.replace(' ', "-")).collect()
    }

    /// The targets of links: `[text](target)`.
    fn links(&self) -> impl Iterator<Item = &str> {
        let targets = self.prose().flat_map(|line| line.split("](").skip(1));
        targets.filter_map(|rest| Some(rest.split_once(')')?.0))
    }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    for page in Page::all() {
        let shown = page.path.display();
        for link in page.links().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
            assert!(target.exists(), "{shown}: {link} does not exist");
            if !anchor.is_empty() {
                let anchors = Page::open(target.strip_prefix(root()).unwrap().to_str().unwrap()).anchors();
                assert!(anchors.contains(anchor), "{shown}: {link} has no heading among {anchors:?}");
            }
            count += 1;
        }
    }
    assert!(count > 30, "only {count} links were found");
}

#[test]
fn every_path_that_a_page_names_exists() {
    const FOLDERS: [&str; 7] = ["src/", "tests/", "docs/", "entity/", "migration/", "benches/", "packaging/"];
    for page in Page::all() {
        for (path, _) in page.code_spans() {
            if FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                let path = path.split([' ', '*', '<']).next().unwrap();
                assert!(root().join(path).exists(), "{}: {path} does not exist", page.path.display());
            }
        }
    }
}

#[test]
fn the_readme_is_short() {
    let lines = Page::open("README.md").text.lines().count();
    assert!(lines < 150, "README.md has {lines} lines; move details to docs");
}
