//! The checks on a manifest as a whole.

use std::collections::BTreeSet;

use reqwest::header::{HeaderName, HeaderValue};
use serde_saphyr::{Location, Spanned};
use url::Url;

use super::answers::ErrorRule;
use super::config::{ConfigField, FieldKind};
use super::template::{Part, Template};
use super::{Auth, Fault, Manifest};

/// Headers that the engine sets itself.
const OWN_HEADERS: [&str; 7] =
    ["accept-encoding", "connection", "content-length", "host", "te", "transfer-encoding", "user-agent"];

fn contains_query(path: &Template) -> bool {
    path.parts().iter().any(|part| matches!(part, Part::Text(text) if text.contains(['?', '#'])))
}

pub(super) fn faults(manifest: &Manifest, file: &str) -> Vec<Fault> {
    let mut check = Check { manifest, file, used: BTreeSet::new(), faults: Vec::new() };
    check.about();
    check.fields();
    check.base_url();
    check.requests();
    check.auth();
    check.listing();
    check.rules();
    check.unused_fields();
    check.faults.sort_by_key(|fault| (fault.line, fault.column));
    check.faults
}

struct Check<'a> {
    manifest: &'a Manifest,
    file: &'a str,
    used: BTreeSet<&'a str>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, at: Location, message: impl Into<String>) {
        self.faults.push(Fault::at(self.file, at, message));
    }

    fn about(&mut self) {
        let manifest = self.manifest;
        let key = &manifest.key;
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if key.is_empty() || !key.bytes().all(letter) {
            self.fault(Location::UNKNOWN, "the file's name is the key: lower-case letters, digits and -, then .yaml");
        }
        let texts = [
            ("name", &manifest.name),
            ("category", &manifest.category),
            ("description", &manifest.description),
            ("setup", &manifest.setup),
        ];
        for (what, text) in texts {
            if text.trim().is_empty() {
                self.fault(Location::UNKNOWN, format!("{what} is empty"));
            }
        }
        if let Some(url) = &manifest.documentation_url
            && !url.value.starts_with("https://")
        {
            self.fault(url.referenced, "documentation_url must begin with https://");
        }
        if manifest.required_permissions.is_empty() && !matches!(manifest.auth.value, Auth::None) {
            let message = "required_permissions is missing: name the scopes, roles or rights that listing users needs";
            self.fault(Location::UNKNOWN, message);
        }
    }

    fn fields(&mut self) {
        let mut seen = BTreeSet::new();
        for Spanned { value: field, referenced: at, .. } in &self.manifest.config {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if field.key.is_empty() || !field.key.bytes().all(letter) {
                self.fault(*at, format!("the key “{}” must be of lower-case letters, digits and _", field.key));
            }
            if !seen.insert(&field.key) {
                self.fault(*at, format!("there are two settings “{}”", field.key));
            }
            if (field.kind == FieldKind::Enum) == field.options.is_empty() {
                self.fault(*at, format!("“{}”: options belong to an enum, and an enum needs options", field.key));
            }
            if let Some(default) = &field.default {
                if field.secret() {
                    self.fault(*at, format!("the secret “{}” must not have a default", field.key));
                } else if let Some(objection) = field.objection(default) {
                    self.fault(*at, format!("the default of “{}” does not fit: {objection}", field.key));
                }
            }
        }
    }

    /// Notes the settings that a template uses; secrets are for `auth` only.
    fn template(&mut self, template: &'a Template, at: Location, secrets: bool) {
        for key in template.keys() {
            self.used.insert(key);
            match self.manifest.field(key) {
                None => {
                    let known: Vec<_> = self.manifest.config.iter().map(|field| field.value.key.as_str()).collect();
                    let known = known.join(", ");
                    self.fault(at, format!("there is no setting “{key}” under config (there are: {known})"));
                }
                Some(field) if field.secret() && !secrets => {
                    self.fault(at, format!("the secret “{key}” may be used under auth only"));
                }
                Some(_) => {}
            }
        }
    }

    fn base_url(&mut self) {
        let manifest = self.manifest;
        let Spanned { value: template, referenced: at, .. } = &manifest.base_url;
        self.template(template, *at, false);
        if let Some(tenant) = &manifest.tenant {
            self.template(&tenant.value, tenant.referenced, false);
        }
        let kind = |key: &str| manifest.field(key).map(|field| field.kind);
        let bounded = |field: &ConfigField| {
            matches!(field.kind, FieldKind::Host | FieldKind::Enum | FieldKind::Integer) || field.pattern.is_some()
        };
        match template.parts() {
            [Part::Config(key), rest @ ..] if kind(key) == Some(FieldKind::Url) => {
                if rest.iter().any(|part| matches!(part, Part::Config(_))) {
                    self.fault(*at, "after a setting of type url, only fixed text may follow");
                }
            }
            [Part::Text(text), ..] if text.starts_with("https://") => {
                let loose = template.keys().find(|key| manifest.field(key).is_some_and(|field| !bounded(field)));
                if let Some(key) = loose {
                    let hint = "make it a host, an enum or an integer, or give it a pattern";
                    self.fault(*at, format!("“{key}” could lead the address to another host: {hint}"));
                }
                let fixed = template.keys().next().is_none();
                if fixed && Url::parse(text).is_err() {
                    self.fault(*at, "this is not an address");
                }
            }
            _ => self.fault(*at, "base_url must begin with https://, or with a setting of type url"),
        }
    }

    fn requests(&mut self) {
        let manifest = self.manifest;
        for (name, Spanned { value, referenced: at, .. }) in &manifest.headers {
            self.template(value, *at, false);
            self.header_name(name, *at);
            if name.eq_ignore_ascii_case("authorization") {
                self.fault(*at, "Authorization belongs under auth, as header: {Authorization: …}");
            }
        }
        let users = &manifest.users;
        self.template(&users.path.value, users.path.referenced, false);
        if !matches!(users.path.value.parts(), [Part::Text(text), ..] if text.starts_with('/'))
            || contains_query(&users.path.value)
        {
            self.fault(users.path.referenced, "path must begin with / and have no query; parameters stand under query");
        }
        for Spanned { value, referenced: at, .. } in users.query.values() {
            for template in &value.0 {
                self.template(template, *at, false);
            }
        }
    }

    fn header_name(&mut self, name: &str, at: Location) {
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => self.fault(at, format!("“{name}” is not the name of a header")),
            Ok(name) if OWN_HEADERS.contains(&name.as_str()) => {
                self.fault(at, format!("the header “{name}” is set by the engine"));
            }
            Ok(_) => {}
        }
    }

    fn auth(&mut self) {
        let Spanned { value: auth, referenced: at, .. } = &self.manifest.auth;
        let templates: Vec<&Template> = match auth {
            Auth::None => Vec::new(),
            Auth::Bearer(token) => vec![token],
            Auth::Basic(basic) => vec![&basic.username, &basic.password],
            Auth::Header(headers) => {
                for name in headers.keys() {
                    self.header_name(name, *at);
                }
                headers.values().collect()
            }
            Auth::Query(params) => params.values().collect(),
        };
        let secret = |key: &str| self.manifest.field(key).is_some_and(ConfigField::secret);
        if !matches!(auth, Auth::None) && !templates.iter().any(|template| template.keys().any(secret)) {
            self.fault(*at, "auth uses no setting of type secret; credentials must be stored as secrets");
        }
        for template in templates {
            self.template(template, *at, true);
        }
    }

    fn listing(&mut self) {
        let users = &self.manifest.users;
        let mut params: BTreeSet<&str> = users.query.keys().map(String::as_str).collect();
        let own = [users.page_size.as_ref().map(|size| size.value.param.as_str()), users.pages.param()];
        for param in own.into_iter().flatten() {
            if !params.insert(param) {
                let message = format!("the parameter “{param}” is set twice: by query, page_size or pages");
                self.fault(users.path.referenced, message);
            }
        }
        if let Some(size) = &users.page_size
            && !(1..=10_000).contains(&size.value.count)
        {
            self.fault(size.referenced, "page_size.count must be from 1 to 10000");
        }
        let Spanned { value: map, referenced: at, .. } = &users.map;
        if map.email.is_none() && map.display_name.is_none() {
            self.fault(*at, "map email or display_name, or nobody can tell who a user is");
        }
        for (column, permission) in &users.require_some {
            if !map.has(*column) {
                self.fault(permission.referenced, "require_some names a column that map does not have");
            }
        }
    }

    fn rules(&mut self) {
        for Spanned { value: rule, referenced: at, .. } in &self.manifest.errors {
            let ErrorRule { status, header, when, .. } = rule;
            if status.is_empty() && header.is_empty() && when.is_none() {
                self.fault(*at, "a rule needs a condition: status, header or when");
            }
            if status.iter().any(|status| !(100..=599).contains(status)) {
                self.fault(*at, "status codes are from 100 to 599");
            }
        }
        let details = self.manifest.error_details.permission_header.0.iter();
        for name in details.chain(&self.manifest.rate_limit.reset_header.0) {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                self.fault(Location::UNKNOWN, format!("“{name}” is not the name of a header"));
            }
        }
        for (name, Spanned { value, referenced: at, .. }) in &self.manifest.headers {
            let fixed = value.parts().iter().all(|part| match part {
                Part::Text(text) => HeaderValue::from_str(text).is_ok(),
                Part::Config(_) => true,
            });
            if !fixed {
                self.fault(*at, format!("the header “{name}” has a value that cannot be sent"));
            }
        }
    }

    fn unused_fields(&mut self) {
        for Spanned { value: field, referenced: at, .. } in &self.manifest.config {
            if !self.used.contains(field.key.as_str()) {
                self.fault(
                    *at,
                    format!("the setting “{0}” is not used; write {{{{config.{0}}}}} where it belongs", field.key),
                );
            }
        }
    }
}
