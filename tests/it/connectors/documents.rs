//! Manifests and their samples against the documents of vendors that are in packages. `tests/vendors/run` does the same
//! with those that are not.

use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What check.mjs says, and whether everything agrees.
fn check(arguments: &[&str]) -> (bool, String) {
    let node = std::env::var("TEST_NODE").expect("tests/run sets TEST_NODE");
    let script = Path::new(ROOT).join("tests/vendors/check.mjs");
    let output = Command::new(node).arg(script).arg("--packages").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

#[test]
fn manifests_agree_with_the_documents_of_their_vendors() {
    let (agrees, said) = check(&[]);
    assert!(agrees, "{said}");
    assert!(said.contains("\n32 manifests held against documents"), "{said}");
}

#[test]
fn what_a_document_contradicts_is_told() {
    let built_in = Path::new(ROOT).join("src/integration/connectors");
    for (key, spoilt, right, wrong, told) in [
        ("google-workspace", "", "$.primaryEmail", "$.primaryMail", "$.primaryMail is not in the document"),
        ("google-workspace", "samples/", "maxResults=500", "maxResults=501", "maxResults: $.value must be <= 500"),
        ("github", "", "createdAt", "madeAt", "Cannot query field \"madeAt\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("samples")).unwrap();
        for part in ["", "samples/"] {
            let name = format!("{part}{key}.yaml");
            let text = fs::read_to_string(built_in.join(&name)).unwrap();
            let text = if part == spoilt { text.replace(right, wrong) } else { text };
            assert_eq!(text.contains(wrong), part == spoilt, "{name}: {right}");
            fs::write(folder.path().join(&name), text).unwrap();
        }
        let (agrees, said) = check(&["--connectors", folder.path().to_str().unwrap(), key]);
        assert!(!agrees && said.contains(told), "{key}: {wrong}: {said}");
    }
}
