//! The software bill of materials.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::root;

/// The names, versions and checksums in `Cargo.lock`.
fn locked() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.map_or(String::new(), |value| value.trim_matches('"').to_owned())
    };
    let packages = text.split("[[package]]\n").skip(1);
    packages.map(|block| (value(block, "name"), value(block, "version"), value(block, "checksum"))).collect()
}

#[test]
fn every_locked_crate_is_in_the_bill_of_materials() {
    let python = std::env::var_os("TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let made = Command::new(python).arg(root().join(".ci/sbom")).env("CARGO_NET_OFFLINE", "true").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bill: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let components = bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]);
    let listed: BTreeSet<_> =
        components.map(|it| (text(&it["name"]), text(&it["version"]), text(&it["hashes"][0]["content"]))).collect();
    assert_eq!(listed, locked());
    let libraries = bill["components"].as_array().unwrap();
    let unlicensed: Vec<_> = libraries.iter().filter(|it| it["licenses"].is_null()).map(|it| &it["name"]).collect();
    assert!(unlicensed.is_empty(), "{unlicensed:?}");
    let known: BTreeSet<_> = bill["dependencies"].as_array().unwrap().iter().map(|it| text(&it["ref"])).collect();
    let used = bill["dependencies"].as_array().unwrap().iter().flat_map(|it| it["dependsOn"].as_array().unwrap());
    assert!(used.map(text).all(|name| known.contains(&name)));
}
