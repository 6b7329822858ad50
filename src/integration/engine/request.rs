//! Builds requests: from a position in a list to a URL, headers and body, not signed yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::{Origin, Url};

use super::client::{Body, Request};
use super::position::Position;
use crate::manifest::Manifest;
use crate::manifest::config::PLAIN_HTTP;
use crate::manifest::listing::{Count, Detail, Identify, List, PageSize, Query};
use crate::manifest::paging::{Paging, Slot};
use crate::manifest::template::{Part, Scope, Template};
use crate::source::Config;

/// What is encoded in a path segment: everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Builds the requests of one connection, once its base URL is known.
pub(super) struct RequestBuilder {
    config: Arc<Config>,
    base: Url,
    headers: HeaderMap,
    /// Where the address of a next page may lead.
    origins: Vec<Origin>,
    tenant: Option<String>,
    /// What the application said before the listing; templates use it as `{{found.x}}`.
    found: BTreeMap<String, String>,
}

impl RequestBuilder {
    /// `config` must be complete. Errors are sentences for a person.
    pub fn new(manifest: &Manifest, config: Arc<Config>, found: BTreeMap<String, String>) -> Result<Self, String> {
        let scope = Scope::new(&config, &found);
        let base = base_url(manifest, scope)?;
        let tenant = tenant(manifest, &base, scope);
        let headers = constant_headers(manifest, scope)?;
        let others = manifest.other_origins.iter().map(|other| other.value.origin());
        let origins = std::iter::once(base.origin()).chain(others).collect();
        Ok(Self { config, base, headers, origins, tenant, found })
    }

    /// The tenant whose users the connection lists, if it is known.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The request for the page at this position. `size` is how many records to ask for, if the
    /// manifest says how to ask. The error is a clause for a person.
    pub fn page(&self, list: List<'_>, position: &Position, size: Option<u32>) -> Result<Request, String> {
        let scope = Scope::new(&self.config, &self.found);
        if let Position::Url(next) = position {
            let url = self.own_address(&self.base, next)?;
            return Ok(Request::get(url, self.headers.clone()));
        }
        let then = list.pages.then().filter(|_| *position != Position::Start);
        let path = then.map_or(list.path, |then| &then.path.value);
        let json = then.map(|then| &then.json).or(list.json);
        let mut body = json.map(|json| json.expand(scope));
        let mut pairs = if then.is_some() { Vec::new() } else { query_pairs(list.query, scope) };
        let sized = size.filter(|_| then.is_none()).zip(list.page_size.and_then(PageSize::slot));
        let sized = sized.map(|(size, slot)| (slot, Value::from(size)));
        for (slot, value) in sized.into_iter().chain(position_value(list.pages, position)) {
            match (slot, &mut body) {
                (Slot::Json(path), Some(body)) => path.put(body, value),
                (Slot::Json(_), None) => {}
                (Slot::Param(name), _) => {
                    pairs.push((name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
                }
            }
        }
        let mut url = below(&self.base, path, scope)?;
        add_query(&mut url, pairs);
        Ok(Request::with_body(url, self.headers.clone(), body.map(Body::Json)))
    }

    /// The request for data about one user that the list does not contain. The error is a clause for a person.
    pub fn detail(&self, detail: &Detail, record: &Value) -> Result<Request, String> {
        let scope = Scope { record: Some(record), ..Scope::new(&self.config, &self.found) };
        let mut url = below(&self.base, &detail.path.value, scope)?;
        add_query(&mut url, query_pairs(&detail.query, scope));
        Ok(Request::get(url, self.headers.clone()))
    }

    /// The request that counts the users. The error is a clause for a person.
    pub fn count(&self, count: &Count) -> Result<Request, String> {
        let scope = Scope::new(&self.config, &self.found);
        let mut url = below(&self.base, &count.path.value, scope)?;
        add_query(&mut url, query_pairs(&count.query, scope));
        Ok(Request::get(url, self.headers.clone()))
    }

    /// Resolves an address that the page at `current` gave. An address on another host, such as the
    /// inner name of an application behind a proxy, is looked for on the host of `current`. Fails if it
    /// is not below the base URL. The error is a clause for a person.
    pub fn own_address(&self, current: &Url, next: &str) -> Result<Url, String> {
        let mut url = current.join(next).map_err(|_| "the address of the next page is not an address")?;
        let elsewhere = || "the address of the next page leads to another host, so it was not called".to_owned();
        if !matches!(url.scheme(), "https" | "http") || !url.username().is_empty() || url.password().is_some() {
            return Err(elsewhere());
        }
        let (ours, below) = (self.origins.contains(&url.origin()), is_below(&self.base, &url));
        // A proxy puts the application below a path that the application itself does not know.
        let prefix = self.base.path().trim_end_matches('/');
        let lacks_prefix = !below && current.path().strip_prefix(prefix) == Some(url.path());
        if !(ours || below || lacks_prefix) {
            return Err(elsewhere());
        }
        if lacks_prefix {
            url.set_path(current.path());
        }
        if !ours {
            let mut own = current.clone();
            own.set_path(url.path());
            own.set_query(url.query());
            url = own;
        }
        url.set_fragment(None);
        Ok(url)
    }
}

/// Identifies whose users the connection lists, if that is known. The same address by http and https is one tenant.
fn tenant(manifest: &Manifest, base: &Url, scope: Scope<'_>) -> Option<String> {
    match &manifest.tenant {
        Some(tenant) => {
            let tenant = tenant.value.expand(scope).to_lowercase();
            let named = tenant.strip_prefix("https://").or_else(|| tenant.strip_prefix(PLAIN_HTTP)).unwrap_or(&tenant);
            Some(named.to_owned()).filter(|tenant| !tenant.is_empty())
        }
        None if manifest.base_url.value.keys().next().is_none() => None,
        None => base.host_str().map(|host| match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }),
    }
}

/// The tenant of a connection with these settings, if the settings alone tell it.
pub fn tenant_in_settings(manifest: &Manifest, config: &Config) -> Option<String> {
    let template = manifest.tenant.as_ref().unwrap_or(&manifest.base_url);
    if template.value.found().next().is_some() || manifest.base_url.value.found().next().is_some() {
        return None;
    }
    let config = manifest.complete(config.clone()).ok()?;
    let found = BTreeMap::new();
    let scope = Scope::new(&config, &found);
    tenant(manifest, &base_url(manifest, scope).ok()?, scope)
}

/// Whether the path of an address begins with the path of the base URL.
fn is_below(base: &Url, url: &Url) -> bool {
    let base = base.path().trim_end_matches('/');
    url.path().strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The request that tells whose credential it is. The error is a sentence for a person.
pub(super) fn identify(
    manifest: &Manifest,
    identify: &Identify,
    config: &Config,
    found: &BTreeMap<String, String>,
) -> Result<Request, String> {
    let scope = Scope::new(config, found);
    let mut url = match (&identify.path, &identify.url) {
        (Some(path), _) => below(&base_url(manifest, scope)?, &path.value, scope)?,
        (None, Some(url)) => absolute(&url.value, scope).ok_or("The address in the settings is not an address.")?,
        (None, None) => return Err("The connector does not say whom to ask.".to_owned()),
    };
    add_query(&mut url, query_pairs(&identify.query, scope));
    let json = identify.json.as_ref().map(|json| Body::Json(json.value.expand(scope)));
    let form = identify
        .form
        .as_ref()
        .map(|form| Body::Form(form.iter().map(|(name, value)| (name.clone(), value.value.expand(scope))).collect()));
    Ok(Request::with_body(url, constant_headers(manifest, scope)?, json.or(form)))
}

/// Expands an absolute URL. Values before the path are used as they are; in the path they are
/// encoded, so that each stays within one segment.
pub(super) fn absolute(template: &Template, scope: Scope<'_>) -> Option<Url> {
    let mut text = String::new();
    for part in template.parts() {
        let value = part.value(scope);
        let in_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        if in_path && !matches!(part, Part::Text(_)) {
            // A segment of dots would change the path even when encoded.
            if matches!(value.as_str(), "." | "..") {
                return None;
            }
            text.extend(utf8_percent_encode(&value, RESERVED));
        } else if text == "https://" && value.starts_with(PLAIN_HTTP) {
            text = value;
        } else {
            text.push_str(&value);
        }
    }
    Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

fn query_pairs(query: &Query, scope: Scope<'_>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, values) in query {
        // A parameter whose setting was left out is not sent as an empty text.
        let sent = |value: &Template| Some(value.expand(scope)).filter(|text| !text.is_empty() || value.is_fixed());
        pairs.extend(values.value.0.iter().filter_map(sent).map(|value| (name.clone(), value)));
    }
    pairs
}

fn add_query(url: &mut Url, pairs: Vec<(String, String)>) {
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

/// The value that asks for this position, and where it goes in the request.
fn position_value<'a>(paging: &'a Paging, position: &Position) -> Option<(Slot<'a>, Value)> {
    let slot = paging.slot().ok().flatten()?;
    let value = match (paging, position) {
        (Paging::Scim, Position::Cursor(cursor)) => return Some((Slot::Param("cursor"), cursor.clone().into())),
        (Paging::Scim | Paging::Page(_) | Paging::Offset(_), Position::Number(number)) => (*number).into(),
        (Paging::Cursor(_), Position::Cursor(cursor)) => cursor.clone().into(),
        (Paging::Cursor(rule), Position::Start) => rule.first.clone()?.into(),
        // Some servers answer with nobody unless it is given.
        (Paging::Scim, Position::Start) => 1.into(),
        (Paging::Page(rule), Position::Start) => rule.start.into(),
        (Paging::Offset(rule), Position::Start) => rule.start.into(),
        _ => return None,
    };
    Some((slot, value))
}

/// The headers of every request. The error is a sentence for a person.
pub(super) fn constant_headers(manifest: &Manifest, scope: Scope<'_>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &manifest.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "The name of a header is wrong.")?;
        let value = HeaderValue::from_str(&value.value.expand(scope))
            .map_err(|_| format!("The settings contain characters that cannot be sent in the header {name}."))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The beginning of every request's URL. The error is a sentence for a person.
pub(super) fn base_url(manifest: &Manifest, scope: Scope<'_>) -> Result<Url, String> {
    let template = &manifest.base_url.value;
    let from_application = matches!(template.parts(), [Part::Found(_), ..]);
    let wrong = || {
        let whose = if from_application { "that the application gave" } else { "in the settings" };
        format!("The address {whose} is not a plain https address.")
    };
    let url = absolute(template, scope).ok_or_else(wrong)?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().unwrap_or_default();
    if from_application && !manifest.base_url_hosts.iter().any(|pattern| pattern.value.matches(host)) {
        return Err("The address that the application gave leads to a host that is not its own.".to_owned());
    }
    if plain { Ok(url) } else { Err(wrong()) }
}

/// The URL of a path below another URL. The path begins with a slash. The error is a clause for a person.
pub(super) fn below(base: &Url, path: &Template, scope: Scope<'_>) -> Result<Url, String> {
    let segments = path.expand_segments(scope);
    let leads_elsewhere = |part: &String| matches!(part.as_str(), "." | "..") || part.chars().any(char::is_control);
    if segments.iter().any(leads_elsewhere) {
        return Err("a value in its address would lead elsewhere".to_owned());
    }
    // The first segment is empty because the path begins with a slash. The last one may be
    // empty if the path ends with a slash.
    let fixed_end = matches!(path.parts().last(), Some(Part::Text(_)));
    if segments.iter().skip(1).rev().skip(usize::from(fixed_end)).any(String::is_empty) {
        return Err("a value in its address is missing".to_owned());
    }
    let mut url = base.clone();
    let base_path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&base_path);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
        path.extend(segments.iter().skip(1));
    }
    Ok(url)
}
