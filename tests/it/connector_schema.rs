//! The JSON Schema of manifests: the committed file is up to date, and it agrees with the parser.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use integration::manifest;
use integration::user::UserField;
use serde_json::{Value, json};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed = fs::read_to_string(root().join("docs/connector.schema.json")).unwrap();
    // As values, because a library of the tests lets objects keep the order of their insertion.
    let committed: Value = serde_json::from_str(&committed).unwrap();
    assert!(committed == manifest::schema::schema(), "run: muster connectors schema > docs/connector.schema.json");
}

#[test]
fn the_reference_describes_every_field() {
    let reference = fs::read_to_string(root().join("docs/connectors.md")).unwrap();
    let (_, map) = reference.split_once("### `map`").unwrap();
    let (map, _) = map.split_once("\n### ").unwrap();
    for field in UserField::ALL {
        let row = |line: &str| line.split('|').nth(1).is_some_and(|names| names.contains(&format!("`{field}`")));
        assert!(map.lines().any(row), "docs/connectors.md: the table under map has no row for {field}");
    }
}

/// The built-in manifests by file name.
fn built_in() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("src/integration/connectors")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    manifests.map(named).collect()
}

/// The errors that jsonschema finds in each document.
fn validate(texts: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let python = std::env::var("TEST_PYTHON")
        .expect("TEST_PYTHON must name a Python with tests/peers/requirements.txt: run the tests with tests/run");
    let documents: BTreeMap<&String, Value> = texts
        .iter()
        .map(|(name, text)| {
            let options = serde_saphyr::options! { strict_booleans: true };
            let read = serde_saphyr::from_str_with_options(text, options);
            (name, read.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    let task = json!({"schema": manifest::schema::schema(), "documents": documents});
    let mut child = Command::new(python)
        .arg(root().join("tests/peers/validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("TEST_PYTHON runs");
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "validate.py failed; what it says is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_built_in_manifest_passes_the_schema() {
    let texts = built_in();
    assert!(texts.len() >= 30, "{}", texts.len());
    let faults = validate(&texts);
    assert_eq!(faults.len(), texts.len());
    assert!(faults.values().all(Vec::is_empty), "{faults:#?}");
}

#[test]
fn what_is_wrong_fails_the_schema_and_the_parser_alike() {
    let good = built_in()["scim.yaml"].clone();
    let changes = [
        ("name: SCIM 2.0", "nam: SCIM 2.0"),
        ("category: identity", "category: identities"),
        ("type: url", "type: address"),
        ("label: Token", "labels: Token"),
        ("base_url: \"{{config.base_url}}\"", "base_url: [\"{{config.base_url}}\"]"),
        ("    bearer: ", "    query: {a: b}\n    bearer: "),
        ("  path: /Users", "  paths: /Users"),
        ("  pages: scim", "  pages: guess"),
        ("  pages: scim", "  pages: {cursor: {param: after}}"),
        ("  records: $.Resources", "  records: Resources"),
        ("    external_id: $.id", "    external_id: $[?@.id]"),
        ("    external_id: $.id", "    external_id: {join: [$.id], const: x}"),
        ("then: suspended}", "then: disabled}"),
        ("known_when: *admin", "unless: *admin"),
        ("  message: $.detail", "  message: []"),
        ("setup: |", "set_up: |"),
    ];
    let mut texts = BTreeMap::from([("good".to_owned(), good.clone())]);
    for (find, put) in changes {
        assert!(good.contains(find), "{find}");
        texts.insert(put.to_owned(), good.replacen(find, put, 1));
    }
    // No two changes may have the same name.
    assert_eq!(texts.len(), changes.len() + 1);
    for (name, faults) in validate(&texts) {
        let parsed = manifest::parse(&texts[&name], "scim.yaml");
        assert_eq!((faults.is_empty(), parsed.is_ok()), (name == "good", name == "good"), "{name}: {faults:?}");
    }
}
