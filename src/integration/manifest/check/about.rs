//! The checks on a manifest's description of the application, and on its settings.

use std::collections::BTreeSet;

use serde_saphyr::Spanned;

use super::Check;
use crate::manifest::CATEGORIES;
use crate::manifest::auth::Auth;
use crate::manifest::config::{AUTHENTICATION, FieldKind};

impl Check<'_> {
    pub(super) fn about(&mut self) {
        let manifest = self.manifest;
        let key = &manifest.key;
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if key.is_empty() || !key.bytes().all(letter) {
            self.fault_at(&[], "the file's name is the key: lower-case letters, digits and -, then .yaml");
        }
        let texts = [
            ("name", &manifest.name),
            ("category", &manifest.category),
            ("description", &manifest.description),
            ("setup", &manifest.setup),
        ];
        if !CATEGORIES.contains(&manifest.category.as_str()) && !manifest.category.trim().is_empty() {
            let message =
                format!("there is no category “{}”; take one of {}", manifest.category, CATEGORIES.join(", "));
            self.fault_at(&["category"], message);
        }
        for (what, text) in texts {
            if text.trim().is_empty() {
                self.fault_at(
                    &[what],
                    format!("{what} is empty; write it, because people choose an application by it"),
                );
            }
        }
        let mut names = BTreeSet::from([manifest.name.to_lowercase()]);
        for name in &manifest.also_known_as {
            if name.trim().is_empty() || !names.insert(name.to_lowercase()) {
                let message = format!("also_known_as has “{name}”, which is empty or a name that it has already");
                self.fault_at(&["also_known_as"], message);
            }
        }
        if let Some(url) = &manifest.documentation_url
            && !url.value.starts_with("https://")
        {
            self.fault(url.referenced, "documentation_url must begin with https://");
        }
        if manifest.required_permissions.is_empty()
            && !manifest.options().iter().all(|option| matches!(option.auth, Auth::None))
        {
            let message = "required_permissions is missing: name the scopes, roles or rights that listing users needs";
            self.fault_at(&["required_permissions"], message);
        }
    }

    pub(super) fn fields(&mut self) {
        let mut seen = BTreeSet::new();
        for Spanned { value: field, referenced: at, .. } in &self.manifest.config {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if field.key.is_empty() || !field.key.bytes().all(letter) {
                self.fault(*at, format!("the key “{}” must be of lower-case letters, digits and _", field.key));
            }
            if field.key == AUTHENTICATION {
                self.fault(
                    *at,
                    "the key “authentication” is taken by the choice between kinds of auth; name it otherwise",
                );
            }
            if !seen.insert(&field.key) {
                self.fault(*at, format!("there are two settings “{}”; take one out, or name it otherwise", field.key));
            }
            if (field.kind == FieldKind::Enum) == field.options.is_empty() {
                self.fault(
                    *at,
                    format!("“{}”: options belong to an enum, and an enum needs options: [one, two]", field.key),
                );
            }
            if let Some(default) = &field.default {
                if field.secret() {
                    self.fault(*at, format!("the secret “{}” must not have a default; take it out", field.key));
                } else if let Some(problem) = field.problem(default) {
                    self.fault(*at, format!("the default of “{}” does not fit: {problem}", field.key));
                }
            }
        }
    }
}
