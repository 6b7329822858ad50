//! Reads what a page says about the pages after it.

use reqwest::header::{HeaderMap, LINK};
use serde_json::Value;

use crate::manifest::expr::{Document, Path, Predicate, whole_number};
use crate::manifest::paging::{Cursor, LinkHeader, NextUrl, Paging};

/// What a page says about the pages after it.
#[derive(Debug, Default)]
pub(super) struct PageInfo {
    /// The number of records on all pages.
    pub total: Option<u64>,
    /// The number of the last page.
    pub last_page: Option<u64>,
    /// The cursor or URL of the next page.
    pub next: Option<String>,
    /// Whether there are more pages.
    pub more: Option<bool>,
    /// Why the page does not say what it must say; a clause for a person.
    pub fault: Option<String>,
}

impl PageInfo {
    pub fn read(paging: &Paging, body: &Document, headers: &HeaderMap) -> Self {
        let number = |path: &Option<Path>| path.as_ref().and_then(|path| path.number(body));
        let field = |name: &str| body.value().get(name);
        let mut fault = None;
        let mut holds = |test: &Option<Predicate>| {
            let test = test.as_ref()?;
            if !test.finds_something(body) {
                fault = Some("the field that `more` tests is missing".to_owned());
            }
            Some(test.holds(body))
        };
        let mut info = match paging {
            Paging::None => Self::default(),
            Paging::Scim => Self {
                total: field("totalResults").and_then(whole_number),
                next: field("nextCursor").and_then(Value::as_str).filter(|next| !next.is_empty()).map(str::to_owned),
                ..Self::default()
            },
            Paging::LinkHeader(rule) => {
                Self { next: linked(headers, rule), total: number(&rule.total), ..Self::default() }
            }
            Paging::NextUrl(NextUrl { at, more, total }) | Paging::Cursor(Cursor { at, more, total, .. }) => {
                let next = at.token(body);
                let (more, total) = (holds(more), number(total));
                match next {
                    Ok(next) => Self { total, next, more, ..Self::default() },
                    Err(fault) => Self { more, total, fault: Some(fault), ..Self::default() },
                }
            }
            Paging::Page(rule) => Self {
                total: number(&rule.total),
                last_page: number(&rule.last),
                more: holds(&rule.more),
                ..Self::default()
            },
            Paging::Offset(rule) => Self { total: number(&rule.total), more: holds(&rule.more), ..Self::default() },
        };
        info.fault = info.fault.or(fault);
        info
    }

    /// The URL of the next page, if this kind of paging uses URLs.
    pub fn next_url_mut(&mut self, paging: &Paging) -> Option<&mut String> {
        match paging {
            Paging::LinkHeader(_) | Paging::NextUrl(_) => self.next.as_mut(),
            Paging::None | Paging::Scim | Paging::Cursor(_) | Paging::Page(_) | Paging::Offset(_) => None,
        }
    }
}

/// The address in the `Link` header with the wanted relation, unless its parameters say that it leads nowhere.
fn linked(headers: &HeaderMap, rule: &LinkHeader) -> Option<String> {
    let values: Vec<_> = headers.get_all(LINK).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    for link in values.iter().flat_map(|value| split_outside(value, ',')) {
        let Some((address, params)) = link.trim().strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            continue;
        };
        let params: Vec<(String, &str)> = split_outside(params, ';')
            .into_iter()
            .filter_map(|param| param.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
            .collect();
        let param = |name: &str| params.iter().find(|(own, _)| own == name).map(|(_, value)| *value);
        let wanted =
            param("rel").is_some_and(|rel| rel.split_whitespace().any(|one| one.eq_ignore_ascii_case(&rule.rel)));
        if wanted {
            let stopped = rule.stop_param.iter().any(|(name, value)| param(&name.to_ascii_lowercase()) == Some(value));
            return (!stopped).then(|| address.to_owned());
        }
    }
    None
}

/// Splits at separators that are outside of `<…>` and `"…"`.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let (mut pieces, mut start, mut angled, mut quoted) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !angled => quoted = !quoted,
            '<' if !quoted => angled = true,
            '>' if !quoted => angled = false,
            _ if letter == separator && !quoted && !angled => {
                pieces.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}
