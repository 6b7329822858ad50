//! Attribute names of SCIM, which applications may write in upper or lower case (RFC 7643, 2.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::manifest::Manifest;

/// The members of a list response (RFC 7644, 3.4.2; RFC 9865).
const LIST_MEMBERS: [&str; 5] = ["totalResults", "Resources", "itemsPerPage", "startIndex", "nextCursor"];

/// Finds the names of members in paths and tests.
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\.([A-Za-z_$][A-Za-z0-9_$-]*)|['"]([^'"]+)['"]"#).ok());

/// The names that a manifest uses, and how it spells them.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    exact: BTreeSet<String>,
    by_lower_case: BTreeMap<String, String>,
}

impl Spelling {
    pub fn of(manifest: &Manifest) -> Self {
        let mut spelling = Self::default();
        for name in LIST_MEMBERS {
            spelling.add(name);
        }
        for expression in manifest.users.expressions() {
            for found in NAME.iter().flat_map(|name| name.captures_iter(&expression)) {
                if let Some(name) = found.get(1).or_else(|| found.get(2)) {
                    spelling.add(name.as_str());
                }
            }
        }
        spelling
    }

    fn add(&mut self, name: &str) {
        self.exact.insert(name.to_owned());
        self.by_lower_case.insert(name.to_lowercase(), name.to_owned());
    }

    /// Spells the members of a response as the manifest does.
    pub fn apply(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(members) => {
                if members.keys().any(|name| self.other_spelling(name).is_some()) {
                    self.rename(members);
                }
                members.values_mut().for_each(|member| self.apply(member));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn rename(&self, members: &mut Map<String, Value>) {
        let wrong: Vec<(String, String)> = members
            .keys()
            .filter_map(|name| Some((name.clone(), self.other_spelling(name)?.to_owned())))
            .filter(|(_, right)| !members.contains_key(right))
            .collect();
        for (name, right) in wrong {
            if let Some(value) = members.remove(&name) {
                members.insert(right, value);
            }
        }
    }

    /// The manifest's spelling of this name, if it is another.
    fn other_spelling(&self, name: &str) -> Option<&str> {
        if self.exact.contains(name) {
            return None;
        }
        self.by_lower_case.get(&name.to_lowercase()).map(String::as_str)
    }
}
