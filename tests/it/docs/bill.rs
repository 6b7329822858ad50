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

/// The names, versions and checksums of the console's libraries in `vendor.lock`.
fn vendored() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(root().join("src/console/vendor/vendor.lock")).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    let value = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
    entries.iter().map(|it| (value(it, "package"), value(it, "version"), value(it, "sha256"))).collect()
}

#[test]
fn every_locked_crate_and_vendored_package_is_in_the_bill_of_materials() {
    let python = std::env::var_os("TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let made = Command::new(python).arg(root().join(".ci/sbom")).env("CARGO_NET_OFFLINE", "true").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bill: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let components = bill["components"].as_array().unwrap().iter().chain([&bill["metadata"]["component"]]);
    let (crates, packages): (Vec<_>, Vec<_>) =
        components.partition(|it| it["bom-ref"].as_str().unwrap().starts_with("pkg:cargo/"));
    let named = |it: &Value| (text(&it["name"]), text(&it["version"]), text(&it["hashes"][0]["content"]));
    assert_eq!(crates.into_iter().map(named).collect::<BTreeSet<_>>(), locked());
    let file = |package: &Value, file: &Value| {
        let path = text(&file["name"]);
        assert!(root().join(&path).is_file(), "{path}");
        (text(&package["name"]), text(&package["version"]), text(&file["hashes"][0]["content"]))
    };
    let files = |it: &Value| it["components"].as_array().unwrap().iter().map(|one| file(it, one)).collect::<Vec<_>>();
    assert_eq!(packages.into_iter().flat_map(files).collect::<BTreeSet<_>>(), vendored());
    let libraries = bill["components"].as_array().unwrap();
    let unlicensed: Vec<_> = libraries.iter().filter(|it| it["licenses"].is_null()).map(|it| &it["name"]).collect();
    assert!(unlicensed.is_empty(), "{unlicensed:?}");
    let known: BTreeSet<_> = bill["dependencies"].as_array().unwrap().iter().map(|it| text(&it["ref"])).collect();
    let used = bill["dependencies"].as_array().unwrap().iter().flat_map(|it| it["dependsOn"].as_array().unwrap());
    assert!(used.map(text).all(|name| known.contains(&name)));
}
