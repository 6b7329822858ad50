//! Mistakes that authors often make. A manifest can be loaded with them, and then lists nobody, or not everybody.

use std::sync::LazyLock;

use regex::Regex;
use serde_saphyr::{Location, Spanned};

use crate::manifest::auth::Auth;
use crate::manifest::listing::UserList;
use crate::manifest::mapping::Choice;
use crate::manifest::paging::Paging;
use crate::manifest::template::{Part, Template};
use crate::manifest::{Fault, Manifest};
use crate::user::UserStatus;

/// Parameters that ask for a page, or for its size.
const OF_PAGES: [&str; 9] =
    ["page", "per_page", "page_size", "pageSize", "limit", "offset", "cursor", "startIndex", "startAt"];

/// Members that say whether somebody can sign in.
static OF_STATUS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(is_?)?(active|enabled|disabled|suspended|deactivated|archived|blocked|locked|status|state)\b")
        .ok()
});

pub(in crate::manifest) fn advice(manifest: &Manifest, file: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    let auth = manifest.auth.referenced;
    for option in manifest.options() {
        found.extend(credential(&option.auth).map(|message| (auth, message.to_owned())));
    }
    let base = path_of(&manifest.base_url.value);
    for list in &manifest.users.lists {
        let Spanned { value: path, referenced: at, .. } = &list.path;
        if repeats(&base, path) {
            let message = format!("base_url ends with {base} already; write only what follows it in path");
            found.push((*at, message));
        }
        // One of several lists may have no pages, and the size from above.
        if manifest.users.lists.len() == 1 {
            found.extend(first_page_only(list));
        }
        found.extend(status(list));
    }
    found.into_iter().map(|(at, message)| Fault::at(file, at, message)).collect()
}

fn credential(auth: &Auth) -> Option<&'static str> {
    let begins = |template: &Template, scheme: &str| {
        let Some(Part::Text(text)) = template.parts().first() else { return false };
        text.trim_start().split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(scheme))
    };
    match auth {
        Auth::Bearer(token) if begins(token, "Bearer") => {
            Some("bearer writes the word Bearer itself; write only the token: bearer: \"{{config.token}}\"")
        }
        Auth::Header(headers) => {
            let joined = |part: &Part| matches!(part, Part::Text(text) if text.trim() == ":");
            let unencoded = |value: &Template| begins(value, "Basic") && value.parts().iter().any(joined);
            headers.values().any(unencoded).then_some(
                "a name and a password must be encoded after Basic; write basic: {username: …, password: …}, which \
                 does it",
            )
        }
        _ => None,
    }
}

/// The path of an address, without a slash at the end.
fn path_of(address: &Template) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        _ => "…".to_owned(),
    };
    let address: String = address.parts().iter().map(text).collect();
    let behind = address.strip_prefix("https://").unwrap_or(&address);
    behind.find('/').map(|at| behind[at..].trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// Whether a path begins with the path of the base address.
fn repeats(base: &str, path: &Template) -> bool {
    let Some(Part::Text(path)) = path.parts().first() else { return false };
    !base.is_empty() && path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

/// No pages follow, although a page is asked for.
fn first_page_only(list: &UserList) -> Option<(Location, String)> {
    let asked = OF_PAGES.into_iter().find(|name| list.query.contains_key(*name));
    let asked = asked.or(list.page_size.as_ref().map(|_| "page_size"))?;
    matches!(list.pages.value, Paging::None).then(|| {
        let message = format!(
            "“{asked}” asks for a page, and pages: none reads only one; say how the next page is found, or leave out \
             “{asked}” if the first response has everybody"
        );
        (list.pages.referenced, message)
    })
}

fn status(list: &UserList) -> Option<(Location, String)> {
    let at = list.map.referenced;
    let rules = &list.map.value.status.0;
    if let Some(Choice::Lookup { values, .. }) = rules.last() {
        let (yes, no) = (values.contains_key("true"), values.contains_key("false"));
        let (there, missing) = if yes { ("true", "false") } else { ("false", "true") };
        if yes != no {
            let message = format!(
                "the status has a value for “{there}” and none for “{missing}”, so that status would be unknown; write \
                 values: {{\"{there}\": …, \"{missing}\": …}}"
            );
            return Some((at, message));
        }
    }
    let always = rules.iter().all(|rule| matches!(rule, Choice::Always(UserStatus::Active)));
    let of_status = |text: String| OF_STATUS.as_ref().is_some_and(|pattern| pattern.is_match(&text));
    let skips = list.skip_if.iter().any(|test| of_status(test.to_string()));
    (always && skips).then(|| {
        let message = "skip_if leaves out who cannot sign in, and these accounts matter most; keep them, and give them \
                       a status: [{when: test, then: suspended}, active]";
        (at, message.to_owned())
    })
}
