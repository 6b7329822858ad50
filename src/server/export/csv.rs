//! Users as lines of a CSV file, by RFC 4180.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and names
//! come from applications that anybody may sign up for. Such a cell gets an apostrophe in front, which spreadsheets
//! take for the mark of a text.

use crate::clock::date_time;
use crate::directory::users::Reported;

/// The names of the columns are those of the fields of `User`.
const COLUMNS: [&str; 10] = [
    "externalId",
    "displayName",
    "email",
    "status",
    "isAdmin",
    "mfaEnabled",
    "licenses",
    "lastActiveAt",
    "firstSeenAt",
    "lastSeenAt",
];

/// The column that a file with removed users has at its end.
const REMOVED: &str = "removedAt";

/// The first line. `removed` is whether the file has the removed users, too.
pub(super) fn head(removed: bool) -> String {
    let mut text = String::new();
    let names = COLUMNS.into_iter().chain(removed.then_some(REMOVED));
    line(&mut text, names.map(str::to_owned));
    text
}

/// The line of a user. What is not known is an empty cell.
pub(super) fn user(text: &mut String, user: &Reported, removed: bool) {
    let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string()).unwrap_or_default();
    let time = |at: i64| date_time(at).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let licenses = user.licenses.as_deref().and_then(|names| serde_json::from_str::<Vec<String>>(names).ok());
    let cells = [
        user.external_id.clone(),
        user.display_name.clone().unwrap_or_default(),
        user.email.clone().unwrap_or_default(),
        format!("{:?}", user.status).to_uppercase(),
        flag(user.is_admin),
        flag(user.mfa_enabled),
        licenses.unwrap_or_default().join("; "),
        user.last_active_at.map(time).unwrap_or_default(),
        time(user.first_seen_at),
        time(user.last_seen_at),
    ];
    let last = removed.then(|| user.removed_at.map(time).unwrap_or_default());
    line(text, cells.into_iter().chain(last));
}

fn line(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for (index, value) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        cell(text, &value);
    }
    text.push_str("\r\n");
}

fn cell(text: &mut String, value: &str) {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !value.contains([',', '"', '\r', '\n']) {
        text.push_str(value);
        return;
    }
    text.push('"');
    if formula {
        text.push('\'');
    }
    text.push_str(&value.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        for (value, written) in [
            ("Ada", "Ada"),
            ("", ""),
            ("Ada, Countess", "\"Ada, Countess\""),
            ("the \"first\"", "\"the \"\"first\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("+49", "\"'+49\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("a=b", "a=b"),
            ("'=1", "'=1"),
        ] {
            let mut text = String::new();
            cell(&mut text, value);
            assert_eq!(text, written, "{value:?}");
        }
    }
}
