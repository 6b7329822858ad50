//! Limits are constants that exist once.

use std::collections::BTreeMap;

use super::sources;

/// The constants of a file: name, and type with value.
fn constants(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in text.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": ") else { continue };
        let Some((definition, _)) = rest.split_once(';') else { continue };
        if definition.contains(" = ") && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        {
            found.push((name.to_owned(), definition.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// Two constants with the same name and value are one limit that is written twice, or need different names.
#[test]
fn no_constant_is_written_twice() {
    let mut places: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for source in sources(&["src", "entity", "migration"]) {
        for constant in constants(&source.text) {
            places.entry(constant).or_default().push(source.path.clone());
        }
    }
    assert!(places.len() > 100, "{} constants were found", places.len());
    places.retain(|_, paths| paths.len() > 1);
    let twice: Vec<_> = places.iter().collect();
    assert!(twice.is_empty(), "{twice:#?}");
}
