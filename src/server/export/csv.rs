//! Users as lines of a CSV file, by RFC 4180.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula, and names
//! come from applications that anybody may sign up for. Such a cell gets an apostrophe in front, which spreadsheets
//! take for the mark of a text.
//!
//! Where the comma is a decimal point, spreadsheets expect semicolons between cells. They then see one cell in a whole
//! line, in which the quotes are a part of the text, so that each semicolon and each end of a line inside of a cell begins
//! another one. What follows these gets an apostrophe, too.

use integration::user::Timestamp;

use crate::clock::date_time;
use crate::directory::reported::Reported;

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

/// A cell with one of these stands in quotes.
const QUOTED: [char; 4] = [',', '"', '\r', '\n'];

/// After these, another cell may begin.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

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
        user.last_active_at.filter(|at| *at != Timestamp::NEVER.0).map(time).unwrap_or_default(),
        time(user.first_seen_at),
        time(user.last_seen_at),
    ];
    let last = removed.then(|| user.removed_at.map(time).unwrap_or_default());
    line(text, cells.into_iter().chain(last));
}

pub(super) fn line(text: &mut String, cells: impl IntoIterator<Item = String>) {
    for (index, value) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        cell(text, &value);
    }
    text.push_str("\r\n");
}

fn cell(text: &mut String, value: &str) {
    let safe = disarmed(value);
    if safe == value && !safe.contains(QUOTED) {
        text.push_str(&safe);
        return;
    }
    text.push('"');
    text.push_str(&safe.replace('"', "\"\""));
    text.push('"');
}

/// The value with an apostrophe before each formula that a spreadsheet may find in it.
fn disarmed(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    let mut begins = true;
    for (at, letter) in value.char_indices() {
        if begins && is_formula(&value[at..]) {
            safe.push('\'');
        }
        safe.push(letter);
        begins = SEPARATORS.contains(&letter);
    }
    safe
}

/// Whether a formula begins here, as the first of a cell. Some spreadsheets pass over quotes and spaces before it.
fn is_formula(rest: &str) -> bool {
    rest.starts_with(['\t', '\r']) || rest.trim_start_matches(['"', ' ', '\u{a0}']).starts_with(['=', '+', '-', '@'])
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
            ("\t=1", "\"'\t'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("a=b", "a=b"),
            ("'=1", "'=1"),
            ("Ada;=1+1", "\"Ada;'=1+1\""),
            ("E3; @SUM(A1); E5", "\"E3;' @SUM(A1); E5\""),
            ("E3; E5", "E3; E5"),
            ("Ada;\"=1", "\"Ada;'\"\"=1\""),
            ("two\n=lines", "\"two\n'=lines\""),
            ("two\r\n-lines", "\"two\r\n'-lines\""),
            ("a\t+1", "\"a\t'+1\""),
            (" =1", "\"' =1\""),
            ("Ärger; –x", "Ärger; –x"),
        ] {
            let mut text = String::new();
            cell(&mut text, value);
            assert_eq!(text, written, "{value:?}");
        }
    }
}
