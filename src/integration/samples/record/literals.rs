//! What a manifest names: texts that the engine compares, and therefore must find in a sample.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::words::words;
use crate::manifest::records::Records;
use crate::manifest::{Manifest, yaml};

/// What a manifest names.
#[derive(Default)]
pub(super) struct Literals {
    /// Whole texts, in lower case: raw values of tables, texts in tests, fixed parameters.
    pub values: HashSet<String>,
    /// Words of fixed parts of addresses and of patterns, in lower case.
    pub words: HashSet<String>,
    /// Fixed segments of paths.
    pub segments: HashSet<String>,
    /// The names of members in its paths.
    pub members: HashSet<String>,
    /// Fixed hosts, with the port if there is one.
    pub hosts: HashSet<String>,
    /// The names of the members with an object whose keys are users.
    pub maps: HashSet<String>,
    /// Names of headers, in lower case.
    pub headers: HashSet<String>,
}

static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"'([^']*)'|"([^"]*)""#).ok());
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z_][A-Za-z0-9_-]*").ok());
static TEMPLATE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{\{[^}]*\}\}").ok());

/// Keys whose texts are for people, and say nothing about responses.
const FOR_PEOPLE: [&str; 9] = [
    "name",
    "category",
    "description",
    "documentation_url",
    "required_permissions",
    "setup",
    "config",
    "permission",
    "message",
];

impl Literals {
    /// Reads the text of a manifest that was parsed before.
    pub fn of(text: &str, manifest: &Manifest) -> Self {
        let limits = yaml::Limits { bytes: text.len(), nodes: 20_000 };
        let mut literals = Self::default();
        // It has no faults, or there would be no manifest.
        let read: Value = yaml::read(text, &manifest.key, limits).unwrap_or_default();
        for (key, value) in read.as_object().into_iter().flatten() {
            if !FOR_PEOPLE.contains(&key.as_str()) {
                literals.add(key, value);
            }
        }
        // `users: scim` is written elsewhere.
        let expressions = manifest.users.expressions();
        for expression in &expressions {
            literals.add_expression(expression);
        }
        for field in &manifest.form {
            let fixed = field.default.iter().chain(&field.options);
            fixed.for_each(|value| literals.add_text(value));
        }
        literals.add_headers(manifest);
        literals.add_maps(manifest);
        literals
    }

    fn add(&mut self, key: &str, value: &Value) {
        match value {
            Value::String(text) if text.starts_with('$') => self.add_expression(text),
            Value::String(text) => self.add_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add(key, item)),
            Value::Object(members) => {
                for (name, member) in members {
                    if key == "values" || key == "stop_param" {
                        self.values.insert(name.to_lowercase());
                    }
                    if !FOR_PEOPLE.contains(&name.as_str()) || member.is_object() {
                        self.add(name, member);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A path or a test.
    fn add_expression(&mut self, text: &str) {
        for quoted in QUOTED.iter().flat_map(|quoted| quoted.captures_iter(text)) {
            let found = quoted.get(1).or(quoted.get(2)).map_or("", |found| found.as_str());
            self.values.insert(found.to_lowercase());
            self.members.insert(found.to_owned());
        }
        let names = NAME.iter().flat_map(|name| name.find_iter(text));
        self.members.extend(names.map(|name| name.as_str().to_owned()));
    }

    /// A fixed text, an address, or a pattern. What is in `{{…}}` is a setting.
    fn add_text(&mut self, text: &str) {
        let fixed = match TEMPLATE.as_ref() {
            Some(template) => template.replace_all(text, " "),
            None => text.into(),
        };
        if fixed == text {
            self.values.insert(text.to_lowercase());
        }
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split('/').next().unwrap_or_default();
            if !host.contains("{{") {
                self.hosts.insert(host.to_lowercase());
            }
        }
        if text.contains('/') {
            let segments = fixed.split(['/', ' ']).filter(|segment| !segment.is_empty());
            self.segments.extend(segments.map(str::to_owned));
        }
        self.words.extend(words(&fixed).filter(|word| word.len() > 1));
    }

    fn add_headers(&mut self, manifest: &Manifest) {
        let users = &manifest.users;
        let rules = manifest.errors.iter().chain(users.lists.iter().flat_map(|list| &list.errors));
        let rules = rules.chain(users.joins.values().flat_map(|join| &join.value.errors));
        let rules = rules.chain(users.details.values().flat_map(|detail| &detail.value.errors));
        let of_rules = rules.flat_map(|rule| rule.value.header.keys());
        let limits = &manifest.rate_limit;
        let of_limits = limits.reset_header.0.iter().chain(&limits.remaining_header.0);
        let of_expiry = manifest.credential_expires_at.iter().filter_map(|expiry| expiry.value.header.as_ref());
        let names = of_rules.chain(of_limits).chain(&manifest.error_details.permission_header.0).chain(of_expiry);
        self.headers = names.map(|name| name.to_lowercase()).collect();
    }

    fn add_maps(&mut self, manifest: &Manifest) {
        let users = &manifest.users;
        let lists = users.lists.iter().map(|list| &list.records);
        for records in lists.chain(users.joins.values().map(|join| &join.value.records)) {
            if let Records::Map { at, .. } = records {
                // The last name of `$.result.users`, or `$`.
                let path = at.to_string();
                let last = NAME.iter().flat_map(|name| name.find_iter(&path)).last();
                self.maps.insert(last.map_or_else(|| "$".to_owned(), |name| name.as_str().to_owned()));
            }
        }
    }
}
