//! RFC 9535 JSONPath: paths into a JSON document, and tests on it.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::errors::Pattern;
use super::template::OneOrMany;

/// The longest path, in bytes.
const MAX_PATH: usize = 1000;
/// Whole numbers below this one are exact as `f64`.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// How deeply brackets may be nested in a path.
const MAX_DEPTH: usize = 12;

/// A JSON document on which paths and tests are evaluated: a response, or one record.
///
/// A test is a JSONPath filter, and a filter applies to the members of a list. So the value
/// is stored as the only member of a list.
#[derive(Debug)]
pub struct Document {
    list: Value,
    /// Further rows of joined lists: the name of the list, and a document with nothing but `$.GROUP.NAME`.
    rows: Vec<(String, Value)>,
}

impl Document {
    pub fn new(value: Value) -> Self {
        Self { list: Value::Array(vec![value]), rows: Vec::new() }
    }

    pub fn value(&self) -> &Value {
        self.list.get(0).unwrap_or(&Value::Null)
    }

    pub fn value_mut(&mut self) -> &mut Value {
        // There is always one.
        &mut self.list[0]
    }

    pub fn into_value(self) -> Value {
        match self.list {
            Value::Array(mut list) => list.pop().unwrap_or_default(),
            other => other,
        }
    }

    /// Sets `$.GROUP.NAME`. Has no effect if the document is no object.
    pub fn put(&mut self, group: &str, name: &str, part: Value) {
        let Some(record) = self.list.get_mut(0) else { return };
        put(record, group, name, part);
    }

    /// Sets `$.GROUP.NAME` to several values at once. A path into it finds what it finds in any of
    /// them, in their order, and a test holds if it holds with one of them.
    pub fn put_all(&mut self, group: &str, name: &str, parts: impl IntoIterator<Item = Value>) {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return };
        self.put(group, name, first);
        self.rows.extend(parts.map(|part| {
            let mut row = Value::Object(serde_json::Map::new());
            put(&mut row, group, name, part);
            (name.to_owned(), row)
        }));
    }

    /// The further rows that an expression looks at.
    fn rows_for<'a>(&'a self, joins: &'a [String]) -> impl Iterator<Item = &'a Value> {
        self.rows.iter().filter(|(name, _)| joins.contains(name)).map(|(_, row)| row)
    }

    /// Takes the value at a path, leaving null behind.
    pub fn take(&mut self, path: &ListPath) -> Option<Value> {
        let pointer = path.0.query_located(self.value()).at_most_one().ok()??.location().to_json_pointer();
        self.list.get_mut(0)?.pointer_mut(&pointer).map(Value::take)
    }
}

/// Sets `$.GROUP.NAME`. Has no effect if the record is no object.
fn put(record: &mut Value, group: &str, name: &str, part: Value) {
    let Value::Object(record) = record else { return };
    let place = record.entry(group).or_insert(Value::Null);
    if !place.is_object() {
        *place = Value::Object(serde_json::Map::new());
    }
    place[name] = part;
}

/// The key under which the rows of joined lists are added to a user's record.
pub const JOINED: &str = "_joined";

/// Finds the names of the joined lists in an expression, such as `$._joined.NAME.PART`.
static JOINED_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"_joined['"\].\[]+([A-Za-z0-9_-]+)"#).ok());

fn joined_names(text: &str) -> Vec<String> {
    JOINED_NAME.iter().flat_map(|name| name.captures_iter(text)).map(|found| found[1].to_owned()).collect()
}

/// How deeply brackets are nested, including brackets within texts.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for letter in text.chars() {
        match letter {
            '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

fn compile(text: &str) -> Result<JsonPath, String> {
    if text.contains("match(") || text.contains("search(") {
        // The library would compile the pattern again for each record.
        return Err("patterns stand beside paths: {of: path, matches: pattern}".to_owned());
    }
    if text.len() > MAX_PATH {
        return Err(format!("no path is longer than {MAX_PATH} bytes; name the part that is wanted"));
    }
    if depth(text) > MAX_DEPTH {
        // The library recurses for each bracket.
        return Err(format!("a path has no more than {MAX_DEPTH} brackets within each other; write a simpler one"));
    }
    if text.matches("..").count() > 1 {
        // Each one multiplies the time that a record takes.
        return Err("a path may contain .. only once; write the steps to the part".to_owned());
    }
    JsonPath::parse(text).map_err(|error| format!("not a JSONPath: {error}; {}", way_out(text)))
}

/// What to write in place of a text that is no JSONPath.
fn way_out(text: &str) -> String {
    let of_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
    if text.starts_with("$[?") {
        "in a test, a text is in quotes, and comparisons are joined by && or ||: $[?@.role == 'admin']".to_owned()
    } else if ["==", "!=", "&&", "||"].iter().any(|sign| text.contains(sign)) {
        "a comparison is a test: {any: \"$[?@.role == 'admin']\"}".to_owned()
    } else if !text.is_empty() && text.chars().all(of_name) {
        format!("a path begins with $; write $.{text}")
    } else {
        "a path begins with $, such as $.id".to_owned()
    }
}

/// A path into a record or an answer, such as `$.profile.email`.
#[derive(Clone, Debug)]
pub struct Path {
    path: JsonPath,
    /// The joined lists that it looks at.
    joins: Vec<String>,
}

impl Path {
    pub fn compile(text: &str) -> Result<Self, String> {
        Ok(Self { path: compile(text)?, joins: joined_names(text) })
    }

    /// All values that the path finds, in order, except null.
    pub fn all<'a>(&'a self, document: &'a Document) -> impl Iterator<Item = &'a Value> {
        let documents = std::iter::once(document.value()).chain(document.rows_for(&self.joins));
        documents.flat_map(|one| self.path.query(one).all()).filter(|value| !value.is_null())
    }

    /// Whether the path may find more than one value.
    pub fn may_find_several(&self) -> bool {
        let text = self.path.to_string();
        ["[*]", ".*", "..", "[?"].iter().any(|part| text.contains(part))
    }

    /// The first text, number or boolean that the path finds, as text.
    pub fn text(&self, document: &Document) -> Option<String> {
        self.all(document).find_map(scalar)
    }

    /// The cursor or address that the path finds, if any. The error is a clause for a person.
    pub fn token(&self, document: &Document) -> Result<Option<String>, String> {
        let found: Vec<&Value> = self.all(document).filter(|value| **value != Value::Bool(false)).collect();
        match found.iter().find_map(|value| scalar(value)) {
            Some(token) => Ok(Some(token)),
            None if found.iter().any(|value| value.is_array() || value.is_object()) => {
                Err(format!("“{self}” is neither a text nor a number"))
            }
            None => Ok(None),
        }
    }

    /// The first whole number that the path finds, even if it is written as text.
    pub fn number(&self, document: &Document) -> Option<u64> {
        self.all(document).find_map(whole_number)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// A whole number that is not negative, even if it is written as text or with a fraction of zero.
pub fn whole_number(value: &Value) -> Option<u64> {
    let whole = |number: f64| (0.0..MAX_EXACT).contains(&number).then(|| number.to_string().parse().ok()).flatten();
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    }
}

/// A text, number or boolean as trimmed text; `None` for an empty text, a list or an object.
pub fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("$[?") {
            let hint = "this is a test, and a path is wanted here; tests stand under any, all, when and skip_if";
            return Err(de::Error::custom(hint));
        }
        Self::compile(&text).map_err(de::Error::custom)
    }
}

/// Finds the names in brackets of a path, such as `'@odata.nextLink'`.
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"'[^']*'|"[^"]*""#).ok());

/// The path of a whole list.
#[derive(Clone, Debug)]
pub struct ListPath(JsonPath);

impl fmt::Display for ListPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ListPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unquoted = QUOTED.iter().fold(text.clone(), |text, quoted| quoted.replace_all(&text, "").into_owned());
        if unquoted.contains(['*', '?', ':', ',']) || unquoted.contains("..") {
            return Err(de::Error::custom("name the list itself: $.users, not $.users[*], $.* or $.users[0:10]"));
        }
        compile(&text).map(Self).map_err(de::Error::custom)
    }
}

/// Finds simple paths in a test, such as `@.page['has more']`.
static PLAIN_PATH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"@((?:\.[A-Za-z_][A-Za-z0-9_]*|\['[^']*'\])+)").ok());

/// Finds a comparison with all members of a list, such as `@.roles[*].name == 'admin'`, which JSONPath does not know.
static MEMBERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"(?:\.[A-Za-z_][A-Za-z0-9_]*|\['[^']*'\])*";
    Regex::new(&format!(r"@({name})(?:\[\*\]|\.\*)({name})\s*([=!<>]=?)\s*('[^']*'|[\w.-]+)")).ok()
});

/// The form of a test on the members of a list that works, if `text` has the form that does not.
fn member_test(text: &str) -> Option<String> {
    let members = MEMBERS.as_ref()?;
    let working = members.replace_all(text, "@$1[?@$2 $3 $4]");
    JsonPath::parse(&working).is_ok().then(|| working.into_owned()).filter(|working| working != text)
}

/// A test on a record or an answer.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// `$[?@.is_bot == true]`, where `@` is the document. `paths` are the simple paths in it.
    /// `joins` are the joined lists that it looks at.
    Filter { filter: JsonPath, paths: Vec<JsonPath>, joins: Vec<String> },
    /// `{of: path, matches: pattern}`: whether some part of a text that the path finds matches.
    Matches { of: Vec<Path>, pattern: Regex },
}

impl Predicate {
    pub fn holds(&self, document: &Document) -> bool {
        match self {
            Self::Filter { filter, joins, .. } => {
                !filter.query(&document.list).is_empty() || holds_with_a_row(filter, document, joins)
            }
            Self::Matches { of, pattern } => {
                let mut texts = of.iter().flat_map(|path| path.all(document)).filter_map(scalar);
                texts.any(|text| pattern.is_match(&text))
            }
        }
    }
}

/// Whether a test holds with one of the further rows in the place of the first.
fn holds_with_a_row(filter: &JsonPath, document: &Document, joins: &[String]) -> bool {
    let mut rows = document.rows_for(joins).peekable();
    if rows.peek().is_none() {
        return false;
    }
    let mut list = document.list.clone();
    rows.any(|row| {
        let first = document.value().get(JOINED);
        let Some(joined) = list.get_mut(0).and_then(|record| record.get_mut(JOINED)) else { return false };
        // The rows of one list at a time; of the other lists the first row.
        if let (Some(first), Some(row)) = (first, row.get(JOINED)) {
            joined.clone_from(first);
            for (name, part) in row.as_object().into_iter().flatten() {
                joined[name] = part.clone();
            }
        }
        !filter.query(&list).is_empty()
    })
}

impl Predicate {
    /// Whether any field that the test asks for is present, even if it is null or empty.
    pub fn finds_something(&self, document: &Document) -> bool {
        let there = |path: &JsonPath| !path.query(document.value()).is_empty();
        match self {
            Self::Filter { paths, .. } => paths.is_empty() || paths.iter().any(there),
            Self::Matches { of, .. } => of.iter().any(|path| there(&path.path)),
        }
    }

    fn filter(text: &str) -> Result<Self, String> {
        let filter = compile(text).map_err(|error| match member_test(text) {
            Some(working) => format!("a member of a list is tested by a test of its own; write {working}"),
            None => error,
        })?;
        let paths = PLAIN_PATH
            .iter()
            .flat_map(|plain| plain.captures_iter(text))
            .filter_map(|found| JsonPath::parse(&format!("${}", &found[1])).ok());
        Ok(Self::Filter { filter, paths: paths.collect(), joins: joined_names(text) })
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { filter, .. } => filter.fmt(f),
            Self::Matches { of, .. } => of.iter().try_for_each(|path| write!(f, "{path} ")),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchesForm {
    /// The texts to look at.
    of: OneOrMany<Path>,
    /// A regular expression that some part of one of the texts must match.
    matches: Pattern,
}

impl<'de> Deserialize<'de> for Predicate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PredicateVisitor;
        impl<'de> Visitor<'de> for PredicateVisitor {
            type Value = Predicate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a test such as $[?@.is_bot == true], or {of: path, matches: pattern}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Predicate, E> {
                if text.starts_with("$[?") {
                    Predicate::filter(text).map_err(de::Error::custom)
                } else {
                    Err(de::Error::custom("a test is written $[?…], where @ is the record: $[?@.is_bot == true]"))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Predicate, A::Error> {
                let MatchesForm { of, matches } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Predicate::Matches { of: of.0, pattern: matches.0 })
            }
        }
        deserializer.deserialize_any(PredicateVisitor)
    }
}
