//! The libraries of the console are those that `vendor.lock` names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde::Deserialize;

const VENDOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/vendor");
/// The script that writes the files and what it writes about them, and the page of the explorer.
const OURS: [&str; 6] = ["explorer.css", "explorer.js", "fetch.mjs", "index.html", "licences.txt", "vendor.lock"];

#[derive(Deserialize)]
struct Locked {
    file: String,
    sha256: String,
    package: String,
    version: String,
    licence: String,
}

fn names(folder: &Path, prefix: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| !OURS.contains(&name.as_str())).map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn the_libraries_are_those_of_the_lock() {
    let vendor = Path::new(VENDOR);
    let lock: Vec<Locked> = serde_json::from_slice(&fs::read(vendor.join("vendor.lock")).unwrap()).unwrap();
    let licences = fs::read_to_string(vendor.join("licences.txt")).unwrap();
    for Locked { file, sha256, package, version, licence } in &lock {
        let content = fs::read(vendor.join(file)).unwrap();
        let sum = digest(&SHA256, &content).as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        assert_eq!(&sum, sha256, "{file} is not the one of vendor.lock; src/console/vendor/fetch.mjs writes both");
        assert!(["Apache-2.0", "ISC", "MIT"].contains(&licence.as_str()), "{package}: {licence}");
        assert!(licences.contains(&format!("{package}@{version}\n")), "{package}@{version} has no licence text");
    }
    let locked: BTreeSet<_> = lock.iter().map(|entry| entry.file.clone()).collect();
    let mut found = names(vendor, "");
    found.extend(names(&vendor.join("../explorer"), "../explorer/"));
    assert_eq!(found, locked);
}
