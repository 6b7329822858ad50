//! Replaces people, secrets and everything else that tells something about a company in what an application answered.
//!
//! What is not known to be harmless is replaced: words, except common ones and those that the manifest names; addresses
//! of e-mail, by others at example.com; hosts of others. Times, short numbers, yes and no stay, except where the name
//! of the member says that they are private or secret.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value};
use url::Url;

use super::literals::Literals;
use super::words::Words;
use crate::engine::{is_secret_name, is_secret_text};

/// A shorter secret would be found in any text, in bytes.
const SHORTEST: usize = 3;

fn pattern(source: &str) -> Option<Regex> {
    Regex::new(source).ok()
}

static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"[\p{L}\p{N}._%+'#&!$*^~-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+"));
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"^(\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?|\d{8}T\d{6}Z?|\d{14}(\.\d+)?Z|[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} [\d:]{8} ?(GMT|UTC|[+-]\d{4}))$",
    )
});
/// Many digits and next to nothing else, such as a telephone number or an address of the network.
static DIGITS: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\+?[\d\s()./-]{7,}$"));
/// Members whose values tell something about a person, even if they are short numbers or common words.
static PRIVATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)phone|mobile|fax|^tel|birth|^dob$|ssn|social|tax|iban|bank|salary|wage|compensation|street|zip|postal|gender|nationality|passport|(^|_)pin$|(^|_)ip([_A-Z]|$)|emergency|latitude|longitude",
    )
});
/// Members with a time as a number.
static OF_TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?i)time|date|_at$|on$|last|creat|updat|seen|login|expire|since|until|activ|modif|joined|stamp|start|end")
});
/// What stands in `<…>`, as in a Link header.
static ANGLED: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"<([^<>\s]*)>"));

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Replaces what must not be seen, always by the same.
pub(super) struct Disguise {
    pub words: Words,
    pub literals: Literals,
    /// Whole texts with a stand-in of their own, such as settings.
    pub texts: HashMap<String, String>,
    /// Hosts of the company, with their ports, and their stand-ins.
    pub hosts: HashMap<String, String>,
    /// Ids and names of users, which may be names of members.
    pub names: HashSet<String>,
    /// Stand-ins of secrets within longer texts, the longest secret first.
    pub secrets: Vec<(String, String)>,
    addresses: HashMap<String, String>,
    used_addresses: HashSet<String>,
    /// What was replaced because it is secret.
    pub seen_secrets: HashSet<String>,
}

impl Disguise {
    pub fn new(words: Words, literals: Literals, names: HashSet<String>) -> Self {
        Self {
            words,
            literals,
            names,
            texts: HashMap::new(),
            hosts: HashMap::new(),
            secrets: Vec::new(),
            addresses: HashMap::new(),
            used_addresses: HashSet::new(),
            seen_secrets: HashSet::new(),
        }
    }

    /// From now on, a secret has this stand-in, also within longer texts.
    pub fn hide(&mut self, secret: &str, stand_in: &str) {
        if secret.len() >= SHORTEST {
            self.secrets.push((secret.to_owned(), stand_in.to_owned()));
            self.secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        }
    }

    /// A cookie that the manifest names, with another value, and without what is for browsers.
    pub fn cookie(&mut self, header: &str) -> Option<String> {
        let (name, value) = header.split(';').next()?.split_once('=')?;
        if !self.literals.values.contains(&name.to_lowercase()) {
            return None;
        }
        self.seen_secrets.insert(value.to_owned());
        Some(format!("{name}={}", self.words.replace(value, true)))
    }

    /// The e-mail addresses that were replaced, in lower case.
    pub fn addresses(&self) -> impl Iterator<Item = &String> {
        self.addresses.keys()
    }

    /// A response, or a part of it. `name`: the member that it is. `secret`: it is within a secret.
    pub fn value(&mut self, name: &str, value: Value, secret: bool) -> Value {
        match value {
            Value::String(text) => self.member_text(name, &text, secret).into(),
            Value::Number(number) => {
                let text = number.to_string();
                let forced = secret || matches(&PRIVATE, name);
                let is_time = matches(&OF_TIME, name) && is_epoch(&text);
                if !forced && (is_time || self.literals.values.contains(&text)) {
                    return Value::Number(number);
                }
                let replaced = self.words.replace(&text, forced);
                serde_json::from_str(&replaced).unwrap_or(Value::from(0))
            }
            Value::Array(items) => items.into_iter().map(|item| self.value(name, item, secret)).collect(),
            Value::Object(members) => {
                let keyed = self.literals.maps.contains(name);
                let mut replaced = Map::new();
                for (key, member) in members {
                    let named = !self.literals.members.contains(&key) && key != "token_type" && is_secret_name(&key);
                    let member = self.value(&key, member, secret || named);
                    replaced.insert(self.key(key, keyed), member);
                }
                Value::Object(replaced)
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    /// The name of a member. Some applications write ids or names of users there.
    fn key(&mut self, key: String, keyed: bool) -> String {
        let of_user = self.names.contains(&key.to_lowercase()) || matches(&ADDRESS, &key);
        if keyed || (of_user && !self.literals.members.contains(&key)) { self.text(&key, false) } else { key }
    }

    fn member_text(&mut self, name: &str, text: &str, secret: bool) -> String {
        let (hidden, private) = (secret || is_secret_text(text), matches(&PRIVATE, name));
        // Such as when a password was changed.
        let is_time = matches(&TIME, text) || (!hidden && matches(&OF_TIME, name) && is_epoch(text));
        if is_time && !private {
            return text.to_owned();
        }
        if hidden {
            self.seen_secrets.insert(text.to_owned());
        }
        self.text(text, hidden || private)
    }

    /// Any text. `forced`: also what usually stays is replaced.
    pub fn text(&mut self, text: &str, forced: bool) -> String {
        if let Some(stand_in) = self.texts.get(text) {
            return stand_in.clone();
        }
        let is_time = matches(&TIME, text.trim());
        if !forced && (is_time || self.literals.values.contains(&text.trim().to_lowercase())) {
            return text.to_owned();
        }
        if let Some((secret, stand_in)) = self.secrets.iter().find(|(secret, _)| text.contains(secret)).cloned() {
            let parts: Vec<String> = text.split(secret.as_str()).map(|part| self.text(part, forced)).collect();
            return parts.join(&stand_in);
        }
        if let Some(address) = self.whole_address(text) {
            return address;
        }
        self.pieces(text, forced || matches(&DIGITS, text))
    }

    /// A text that is an address of the web, or a part of one.
    fn whole_address(&mut self, text: &str) -> Option<String> {
        if text.chars().any(char::is_whitespace) {
            return None;
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Some(self.url(Url::parse(text).ok().filter(Url::has_host)?));
        }
        let begins = text.len() > 1 && (text.starts_with('/') || (text.starts_with('?') && text.contains('=')));
        if !begins || text.starts_with("//") {
            return None;
        }
        // Any host will do, since it is taken off again.
        let base = Url::parse("https://example.com/").ok()?;
        let replaced = self.url(base.join(text).ok()?);
        let rest = Url::parse(&replaced).ok()?;
        let query = rest.query().map(|query| format!("?{query}")).unwrap_or_default();
        Some(if text.starts_with('?') { query } else { format!("{}{query}", rest.path()) })
    }

    fn url(&mut self, mut url: Url) -> String {
        let host = url.host_str().unwrap_or_default().to_lowercase();
        let with_port = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let stand_in = self.host(&with_port, &host);
        let (name, port) = stand_in.rsplit_once(':').unwrap_or((stand_in.as_str(), ""));
        if url.set_host(Some(name)).is_err() {
            let _ = url.set_host(Some("example.com"));
        }
        // None of these fails for http and https.
        let _ = (url.set_username(""), url.set_password(None), url.set_port(port.parse().ok()));
        let segments: Vec<String> = url.path_segments().into_iter().flatten().map(str::to_owned).collect();
        let segments: Vec<String> = segments.iter().map(|segment| self.segment(&decoded(segment))).collect();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<_> = query.into_iter().map(|(name, value)| (name, self.component(&value))).collect();
        url.set_query(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.set_fragment(None);
        url.into()
    }

    /// A segment of a path. One that the manifest writes stays, even if it is the name of somebody.
    fn segment(&mut self, text: &str) -> String {
        if self.literals.segments.contains(text) { text.to_owned() } else { self.component(text) }
    }

    /// A segment of a path, or the value of a parameter.
    fn component(&mut self, text: &str) -> String {
        if text.is_empty() || text == "." || text == ".." { text.to_owned() } else { self.text(text, false) }
    }

    /// The stand-in of a host, with its port.
    fn host(&mut self, with_port: &str, host: &str) -> String {
        if let Some(stand_in) = self.hosts.get(with_port).or_else(|| self.hosts.get(host)) {
            return stand_in.clone();
        }
        let fixed = |known: &String| host == known || with_port == known || host.ends_with(&format!(".{known}"));
        if self.literals.hosts.contains(with_port) || host == "example.com" || host.ends_with(".example.com") {
            return with_port.to_owned();
        }
        let of_vendor = host.split('.').next_back().is_some_and(|end| self.words.keeps(end))
            && host.rsplit('.').nth(1).is_some_and(|name| self.literals.words.contains(name));
        if of_vendor || self.literals.hosts.iter().any(fixed) {
            return self.words.replace(with_port, false).to_lowercase();
        }
        let name = self.words.replace(&host.replace(['.', ':', '[', ']'], "-"), true).to_lowercase();
        format!("{}.example.com", name.trim_matches('-'))
    }

    /// A text word by word, with addresses in it.
    fn pieces(&mut self, text: &str, forced: bool) -> String {
        if let Some(angled) = ANGLED.as_ref().filter(|angled| angled.is_match(text)) {
            let mut replaced = String::new();
            let mut end = 0;
            for found in angled.find_iter(text) {
                let inside = &text[found.start() + 1..found.end() - 1];
                replaced.push_str(&self.with_addresses(&text[end..found.start()], forced));
                replaced.push('<');
                replaced.push_str(&self.text(inside, forced));
                replaced.push('>');
                end = found.end();
            }
            replaced.push_str(&self.with_addresses(&text[end..], forced));
            return replaced;
        }
        self.with_addresses(text, forced)
    }

    fn with_addresses(&mut self, text: &str, forced: bool) -> String {
        let mut replaced = String::new();
        let mut end = 0;
        for found in ADDRESS.iter().flat_map(|address| address.find_iter(text)) {
            replaced.push_str(&self.words.replace(&text[end..found.start()], forced));
            replaced.push_str(&self.address(found.as_str()));
            end = found.end();
        }
        replaced.push_str(&self.words.replace(&text[end..], forced));
        replaced
    }

    /// The stand-in of an e-mail address, at example.com.
    fn address(&mut self, address: &str) -> String {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        // Also words that are common: info@ and admin@ tell something next to a domain, and here there is none.
        let local = self.words.replace(local, false);
        let lower = address.to_lowercase();
        let suffix = if let Some(suffix) = self.addresses.get(&lower) {
            suffix.clone()
        } else {
            let start = local.to_lowercase();
            let mut numbers = (1..).map(|number: u32| if number == 1 { String::new() } else { number.to_string() });
            let free = |suffix: &String| !self.used_addresses.contains(&format!("{start}{suffix}"));
            let suffix = numbers.find(free).unwrap_or_default();
            self.used_addresses.insert(format!("{start}{suffix}"));
            self.addresses.insert(lower, suffix.clone());
            suffix
        };
        format!("{local}{suffix}@example.com")
    }
}

/// Whether a number may be a time since 1970, in seconds or milliseconds.
fn is_epoch(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or_default();
    let digits = whole.bytes().all(|byte| byte.is_ascii_digit());
    digits && matches!(whole.len(), 10 | 13) && whole.starts_with(['1', '2', '3'])
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
