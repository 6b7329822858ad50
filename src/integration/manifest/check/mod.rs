//! The checks on a manifest as a whole.

use std::collections::BTreeSet;

use reqwest::header::{HeaderName, HeaderValue};
use serde_saphyr::{Location, Spanned};
use url::Url;

mod about;
mod auth;
mod listing;
mod mentions;
pub(super) mod mistakes;
pub(super) mod proof;
mod uses;

use super::auth::AuthOption;
use super::config::{ConfigField, FieldKind};
use super::errors::ErrorRule;
use super::template::{Part, Template};
use super::{Fault, HostPattern, Manifest};
use uses::{Place, Use};

/// Headers that the engine sets itself.
const OWN_HEADERS: [&str; 7] =
    ["accept-encoding", "connection", "content-length", "host", "te", "transfer-encoding", "user-agent"];

pub(super) fn faults(manifest: &Manifest, text: &str, file: &str) -> Vec<Fault> {
    let mut check = Check { manifest, text, file, uses: uses::of(manifest), faults: Vec::new() };
    for (at, message) in &manifest.users.faults {
        match at {
            Some(at) => check.fault(*at, message.clone()),
            None => check.fault_at(&["users"], message.clone()),
        }
    }
    // Without its lists, the manifest cannot be checked as a whole.
    if !check.faults.is_empty() {
        return check.faults;
    }
    check.about();
    check.fields();
    check.templates();
    check.addresses();
    check.requests();
    check.auth();
    check.identify();
    check.listing();
    check.proof();
    check.rules();
    check.unused_fields();
    check.faults.sort_by_key(|fault| (fault.line, fault.column));
    check.faults.dedup();
    check.faults
}

/// The alternatives of `auth` that use a setting. Empty if all of them do, or if the setting is
/// also used elsewhere.
pub(super) fn only_with(manifest: &Manifest, key: &str) -> Vec<String> {
    let options = manifest.options();
    let mut users = BTreeSet::new();
    for one in uses::of(manifest).iter().filter(|one| one.template.keys().any(|used| used == key)) {
        match one.place {
            Place::Auth(number) | Place::TokenHeader(number) => users.insert(number),
            Place::BaseUrl | Place::Identify | Place::Tenant | Place::Listing | Place::Detail => return Vec::new(),
        };
    }
    if users.len() == options.len() {
        return Vec::new();
    }
    users.into_iter().filter_map(|number| Some(options.get(number)?.key.clone())).collect()
}

/// The line and column of a key, given as the path of keys from the outermost one.
fn position(text: &str, keys: &[&str]) -> Option<(u64, u64)> {
    let mut at = 0;
    for (depth, key) in keys.iter().enumerate() {
        let is_key = |(found, _): &(usize, &str)| {
            let (before, after) = (&text[..at + found], &text[at + found + key.len()..]);
            let begins = if depth == 0 {
                before.is_empty() || before.ends_with('\n')
            } else {
                before.ends_with([' ', '{', ','])
            };
            begins && after.trim_start_matches(' ').starts_with(':')
        };
        at += text[at..].match_indices(key).find(is_key)?.0;
    }
    let before = text.get(..at)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some((u64::try_from(line).ok()?, u64::try_from(column).ok()?)).filter(|_| !keys.is_empty())
}

/// Whether a setting is part of the host of an address that the credential is sent to.
pub(super) fn decides_host(manifest: &Manifest, key: &str) -> bool {
    let addresses = manifest.options().iter().filter_map(|option| option.auth.address());
    let mut addresses = addresses.chain([&manifest.base_url.value]);
    addresses.any(|address| {
        let parts = address.parts().iter();
        let host = parts.scan("", |before, part| {
            let ended = before.trim_start_matches("https://").contains('/');
            if let Part::Text(text) = part {
                *before = text;
            }
            (!ended).then_some(part)
        });
        host.into_iter().any(|part| matches!(part, Part::Config(own, _) if own == key))
    })
}

/// The names of the `{{found.x}}` values that requests for users need.
pub(super) fn needed(manifest: &Manifest) -> Vec<String> {
    let for_users = |one: &Use<'_>| matches!(one.place, Place::BaseUrl | Place::Listing | Place::Detail);
    let uses = uses::of(manifest);
    let names: BTreeSet<&str> = uses.iter().filter(|one| for_users(one)).flat_map(|one| one.template.found()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Whether a template uses one of these `{{found.x}}` values.
pub(super) fn uses_found(manifest: &Manifest, is_one: impl Fn(&str) -> bool) -> bool {
    uses::of(manifest).iter().any(|one| one.template.found().any(&is_one))
}

struct Check<'a> {
    manifest: &'a Manifest,
    text: &'a str,
    file: &'a str,
    uses: Vec<Use<'a>>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, at: Location, message: impl Into<String>) {
        self.faults.push(Fault::at(self.file, at, message));
    }

    /// Adds a fault at a key, given as the path of keys; at the beginning of the file if there is no such key.
    fn fault_at(&mut self, keys: &[&str], message: impl Into<String>) {
        let (line, column) = position(self.text, keys).unwrap_or((1, 1));
        self.faults.push(Fault { file: self.file.to_owned(), line, column, message: message.into() });
    }

    /// The alternative of `auth` that a template belongs to.
    fn option_of(&self, place: Place) -> Option<&'a AuthOption> {
        match place {
            Place::Auth(number) | Place::TokenHeader(number) => self.manifest.options().get(number),
            Place::BaseUrl | Place::Identify | Place::Tenant | Place::Listing | Place::Detail => None,
        }
    }

    /// Every value in a template must exist, and must be allowed there.
    fn templates(&mut self) {
        let manifest = self.manifest;
        // A value must be found with every alternative of `auth`.
        let kept = manifest.options().iter().map(|option| {
            let rules = option.auth.token_rules();
            rules.map(|rules| rules.keep.keys().collect::<BTreeSet<_>>()).unwrap_or_default()
        });
        let by_token = kept.reduce(|one, other| one.intersection(&other).copied().collect()).unwrap_or_default();
        let by_call = manifest.identify.iter().flat_map(|call| call.value.keep.keys());
        let found: BTreeSet<&String> = by_token.iter().copied().chain(by_call).collect();
        for Use { template, at, place } in self.uses.clone() {
            let auth = matches!(place, Place::Auth(_) | Place::TokenHeader(_));
            for part in template.parts() {
                match part {
                    Part::Text(_) => {}
                    Part::Config(key, member) => self.setting(key, member.as_deref(), at, auth),
                    Part::Found(_) if auth => {
                        self.fault(
                            at,
                            "{{found.…}} is not known yet where the credential is obtained; use {{config.…}}",
                        );
                    }
                    Part::Found(name) if place == Place::Identify && !by_token.contains(name) => {
                        let message =
                            format!("“{name}” is not known yet when identify is called; only keep under auth is");
                        self.fault(at, message);
                    }
                    Part::Found(name) if !found.contains(name) => {
                        let message =
                            format!("nothing keeps “{name}”: name it under identify.keep, or under keep in auth");
                        self.fault(at, message);
                    }
                    Part::Found(_) => {}
                    Part::Record(_) if place == Place::Detail => {}
                    Part::Record(_) => self.fault(at, "{{record.…}} is for path and query of details only"),
                    Part::Token if matches!(place, Place::TokenHeader(_)) => {}
                    Part::Token => self.fault(at, "{{token}} is for header, under a kind of auth that obtains one"),
                }
            }
        }
    }

    fn setting(&mut self, key: &str, member: Option<&str>, at: Location, secrets: bool) {
        let known: Vec<_> = self.manifest.config.iter().map(|field| field.value.key.as_str()).collect();
        let field = self.manifest.config.iter().map(|field| &field.value).find(|field| field.key == key);
        match field {
            None => {
                let known = known.join(", ");
                self.fault(at, format!("there is no setting “{key}” under config (there are: {known})"));
            }
            Some(field) if field.secret() && !secrets => {
                self.fault(at, format!("the secret “{key}” may be used under auth only; elsewhere it could be seen"));
            }
            Some(field) if (field.kind == FieldKind::SecretJson) != member.is_some() => {
                let message = format!(
                    "“{key}”: members ({{{{config.{key}.member}}}}) are of a secret_json, which has no other use"
                );
                self.fault(at, message);
            }
            Some(_) => {}
        }
    }

    fn addresses(&mut self) {
        let manifest = self.manifest;
        let Spanned { value: template, referenced: at, .. } = &manifest.base_url;
        if let [Part::Found(_), rest @ ..] = template.parts() {
            if manifest.base_url_hosts.is_empty() {
                let hint = "name the hosts that it may lead to: base_url_hosts: ['*.example.com']";
                self.fault(*at, format!("base_url comes from an answer; {hint}"));
            }
            if rest.iter().any(|part| !matches!(part, Part::Text(_))) {
                self.fault(*at, "after {{found.…}}, only fixed text may follow");
            }
        } else {
            self.address(template, *at, "base_url");
            if let Some(host) = manifest.base_url_hosts.first() {
                self.fault(host.referenced, "base_url_hosts belongs to a base_url that begins with {{found.…}}");
            }
        }
        for Spanned { value: HostPattern(host), referenced: at, .. } in &manifest.base_url_hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter);
            if !name.contains('.') || !name.chars().all(plain) {
                self.fault(*at, "write a host name in lower case, or *. and the end of one, such as *.example.com");
            }
        }
        for Spanned { value: url, referenced: at, .. } in &manifest.other_origins {
            if url.scheme() != "https" || url.path() != "/" || url.query().is_some() {
                self.fault(*at, "an origin is https:// and a host, such as https://api.example.com");
            }
        }
    }

    /// An absolute address. No setting may change its host, unless it is of type url or host.
    fn address(&mut self, template: &Template, at: Location, what: &str) {
        let manifest = self.manifest;
        let field = |key: &str| manifest.config.iter().map(|field| &field.value).find(|field| field.key == key);
        let bounded = |field: &ConfigField| {
            matches!(field.kind, FieldKind::Host | FieldKind::Enum | FieldKind::Integer) || field.pattern.is_some()
        };
        let kind = |key: &str| field(key).map(|field| field.kind);
        match template.parts() {
            [Part::Config(key, None), rest @ ..] if kind(key) == Some(FieldKind::Url) => {
                if rest.iter().any(|part| !matches!(part, Part::Text(_))) {
                    self.fault(at, "after a setting of type url, only fixed text may follow");
                }
            }
            [Part::Text(text), ..] if text.starts_with("https://") => {
                // After the end of the host, a value can only be part of the path.
                let mut in_host = true;
                for part in template.parts() {
                    match part {
                        Part::Text(text) => in_host &= !text.trim_start_matches("https://").contains('/'),
                        Part::Config(key, _) if in_host && field(key).is_some_and(|field| !bounded(field)) => {
                            let hint = "make it a host, an enum or an integer, or give it a pattern";
                            self.fault(at, format!("“{key}” could lead the address to another host: {hint}"));
                        }
                        Part::Found(_) if in_host => {
                            let hint = "begin base_url with {{found.…}} and name its base_url_hosts";
                            self.fault(at, format!("an answer could lead the address to another host: {hint}"));
                        }
                        Part::Config(..) | Part::Found(_) | Part::Record(_) | Part::Token => {}
                    }
                }
                if template.is_fixed() && Url::parse(text).is_err() {
                    self.fault(at, "this is not an address");
                }
            }
            _ => self.fault(at, format!("{what} must begin with https://, or with a setting of type url")),
        }
    }

    /// A path below `base_url`.
    fn path(&mut self, template: &Template, at: Location) {
        let begins = matches!(template.parts(), [Part::Text(text), ..] if text.starts_with('/'));
        let query = |part: &Part| matches!(part, Part::Text(text) if text.contains(['?', '#']));
        if !begins || template.parts().iter().any(query) {
            self.fault(at, "path must begin with / and have no query; parameters stand under query");
        }
    }

    fn requests(&mut self) {
        for (name, Spanned { referenced: at, .. }) in &self.manifest.headers {
            self.header_name(name, *at);
            if name.eq_ignore_ascii_case("authorization") {
                self.fault(*at, "Authorization belongs under auth, as header: {Authorization: …}");
            }
        }
    }

    fn identify(&mut self) {
        let manifest = self.manifest;
        if let Some(Spanned { value: call, referenced: at, .. }) = &manifest.identify {
            match (&call.path, &call.url) {
                (Some(path), None) => self.path(&path.value, path.referenced),
                (None, Some(url)) => self.address(&url.value, url.referenced, "url"),
                _ => self.fault(*at, "identify needs either a path below base_url, or a url"),
            }
            if call.json.is_some() && call.form.is_some() {
                self.fault(*at, "identify sends either json or form; take one out");
            }
            let needs_base =
                matches!(manifest.base_url.value.parts(), [Part::Found(name), ..] if call.keep.contains_key(name));
            if needs_base && call.path.is_some() {
                self.fault(*at, "base_url comes from the response of identify, so identify needs its own url");
            }
        }
        if let Some(Spanned { value: expiry, referenced: at, .. }) = &manifest.credential_expires_at {
            match (&expiry.header, &expiry.found) {
                (Some(name), None) => self.header_name(name, *at),
                (None, Some(name))
                    if manifest.identify.as_ref().is_some_and(|call| call.value.keep.contains_key(name)) => {}
                (None, Some(name)) => {
                    self.fault(*at, format!("identify does not keep “{name}”; name it under identify.keep"));
                }
                _ => self.fault(*at, "say either header: name, or found: name"),
            }
        }
    }

    fn header_name(&mut self, name: &str, at: Location) {
        match HeaderName::from_bytes(name.as_bytes()) {
            Err(_) => self.fault(at, format!("“{name}” is not the name of a header; it has letters, digits and -")),
            Ok(name) if OWN_HEADERS.contains(&name.as_str()) => {
                self.fault(at, format!("the header “{name}” is set by the engine; take it out"));
            }
            Ok(_) => {}
        }
    }

    fn rules(&mut self) {
        let users = &self.manifest.users;
        let joins = users.joins.values().flat_map(|join| &join.value.errors);
        let details = users.details.values().flat_map(|detail| &detail.value.errors);
        for Spanned { value: rule, referenced: at, .. } in self.manifest.errors.iter().chain(joins).chain(details) {
            let ErrorRule { status, header, when, text, .. } = rule;
            if status.is_empty() && header.is_empty() && when.is_none() && text.is_none() {
                self.fault(*at, "a rule needs a condition: status, header, when or text");
            }
            if status.iter().any(|status| !(100..=599).contains(status)) {
                self.fault(*at, "status codes are from 100 to 599");
            }
        }
        let limits = &self.manifest.rate_limit;
        let named = [
            (["error_details", "permission_header"], &self.manifest.error_details.permission_header),
            (["rate_limit", "reset_header"], &limits.reset_header),
            (["rate_limit", "remaining_header"], &limits.remaining_header),
        ];
        for (place, names) in named {
            for name in names.0.iter().filter(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
                self.fault_at(&place, format!("“{name}” is not the name of a header; it has letters, digits and -"));
            }
        }
        if limits.concurrency.is_some_and(|calls| !(1..=16).contains(&calls)) {
            self.fault_at(&["rate_limit", "concurrency"], "rate_limit.concurrency must be from 1 to 16");
        }
        if limits.max_wait_seconds.is_some_and(|wait| !(1..=240).contains(&wait)) {
            self.fault_at(&["rate_limit", "max_wait_seconds"], "rate_limit.max_wait_seconds must be from 1 to 240");
        }
        for (name, Spanned { value, referenced: at, .. }) in &self.manifest.headers {
            let fixed = value.parts().iter().all(|part| match part {
                Part::Text(text) => HeaderValue::from_str(text).is_ok(),
                _ => true,
            });
            if !fixed {
                self.fault(*at, format!("the header “{name}” has a value that cannot be sent; take out line breaks and control characters"));
            }
        }
    }

    fn unused_fields(&mut self) {
        for Spanned { value: field, referenced: at, .. } in &self.manifest.config {
            if !self.uses.iter().any(|one| one.template.keys().any(|key| key == field.key)) {
                self.fault(
                    *at,
                    format!("the setting “{0}” is not used; write {{{{config.{0}}}}} where it belongs", field.key),
                );
            }
        }
    }
}
