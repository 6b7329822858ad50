//! Reads the values of a row, in their usual spellings.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use super::columns::Target;
use super::{Cell, Fault, Row};
use crate::user::{AccountKind, SourceUser, Timestamp, UserField, UserStatus};

/// The longest id, in characters.
const LONGEST_ID: usize = 500;
/// The most texts of a list.
const MOST_TEXTS: usize = 200;

/// The order of the parts of a date with slashes, such as 03/04/2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum), graphql(name = "ListDateOrder"))]
pub enum DateOrder {
    /// Day, month, year.
    #[serde(rename = "dmy")]
    DayFirst,
    /// Month, day, year.
    #[serde(rename = "mdy")]
    MonthFirst,
}

const TRUE: &[&str] = &["true", "yes", "y", "1", "on", "x", "✓", "ja", "j", "wahr", "oui", "vrai", "si", "sí"];
const FALSE: &[&str] = &["false", "no", "n", "0", "off", "-", "nein", "falsch", "non", "faux"];

const STATUSES: &[(UserStatus, &[&str])] = &[
    (UserStatus::Active, &["active", "enabled", "current", "employed", "aktiv", "actif", "activo"]),
    (
        UserStatus::Suspended,
        &[
            "suspended",
            "inactive",
            "disabled",
            "deactivated",
            "blocked",
            "locked",
            "archived",
            "terminated",
            "left",
            "inaktiv",
            "deaktiviert",
            "gesperrt",
            "ausgetreten",
            "inactif",
            "inactivo",
        ],
    ),
    (UserStatus::Invited, &["invited", "pending", "eingeladen"]),
    (UserStatus::Unknown, &["unknown"]),
];

const KINDS: &[(AccountKind, &[&str])] = &[
    (AccountKind::Human, &["human", "person", "user", "member", "employee", "regular"]),
    (AccountKind::Service, &["service", "service account", "bot", "robot", "system", "program", "application"]),
    (AccountKind::Shared, &["shared", "shared mailbox", "mailbox", "room", "group"]),
];

/// The user of a row, or everything that is wrong with it.
pub(super) fn user(row: Row, dates: Option<DateOrder>) -> Result<SourceUser, Vec<Fault>> {
    let Row { line, cells } = row;
    let mut user = SourceUser {
        external_id: String::new(),
        email: None,
        display_name: None,
        status: UserStatus::Active,
        is_admin: None,
        mfa_enabled: None,
        licenses: None,
        last_active_at: None,
        kind: None,
        guest: None,
        created_at: None,
        aliases: None,
        source_id: None,
        employee_id: None,
        department: None,
        manager: None,
        refused: BTreeSet::new(),
    };
    let mut faults = Vec::new();
    for (target, column, cell) in cells {
        if let Err(message) = set(&mut user, target, cell, dates) {
            faults.push(Fault { line, column: Some(column), message });
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if user.external_id.is_empty() {
        // One person's address is often written in two ways.
        user.external_id = user.email.as_deref().unwrap_or_default().to_lowercase();
    }
    if user.external_id.is_empty() {
        return Err(vec![Fault::row(line, "The row has neither an id nor an e-mail address.")]);
    }
    Ok(user)
}

fn set(user: &mut SourceUser, target: Target, cell: Cell, dates: Option<DateOrder>) -> Result<(), String> {
    let field = match target {
        Target::ExternalId => {
            user.external_id = text(cell, LONGEST_ID)?.unwrap_or_default();
            return Ok(());
        }
        Target::Field(field) => field,
    };
    let longest = field.info().longest;
    match field {
        UserField::Email => user.email = email(text(cell, longest)?)?,
        UserField::DisplayName => {
            // A first name and a last name.
            let parts = user.display_name.take().into_iter().chain(text(cell, longest)?);
            let name = parts.collect::<Vec<_>>().join(" ");
            user.display_name = (!name.is_empty()).then(|| name.chars().take(longest).collect());
        }
        UserField::Status => user.status = status(cell)?,
        UserField::IsAdmin => user.is_admin = flag(cell)?,
        UserField::MfaEnabled => user.mfa_enabled = flag(cell)?,
        UserField::Licenses => add(&mut user.licenses, cell, longest)?,
        UserField::LastActiveAt => user.last_active_at = time(cell, dates)?,
        UserField::Kind => user.kind = kind(cell)?,
        UserField::Guest => user.guest = flag(cell)?,
        UserField::CreatedAt => {
            user.created_at = time(cell, dates)?.filter(|time| *time != Timestamp::NEVER);
        }
        UserField::Aliases => add(&mut user.aliases, cell, longest)?,
        UserField::SourceId => user.source_id = text(cell, longest)?,
        UserField::EmployeeId => user.employee_id = text(cell, longest)?,
        UserField::Department => user.department = text(cell, longest)?,
        UserField::Manager => user.manager = text(cell, longest)?,
    }
    Ok(())
}

fn text(cell: Cell, longest: usize) -> Result<Option<String>, String> {
    let text = match cell {
        Cell::Text(text) => text,
        Cell::Flag(_) | Cell::Texts(_) => return Err("The value must be a text.".to_owned()),
    };
    let text = text.trim();
    if text.chars().count() > longest {
        return Err(format!("The text is longer than {longest} characters."));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn email(text: Option<String>) -> Result<Option<String>, String> {
    match text {
        Some(text) if !text.contains('@') || text.contains(char::is_whitespace) => {
            Err("The value is not an e-mail address.".to_owned())
        }
        other => Ok(other),
    }
}

/// A short text, in lower case.
fn word(cell: Cell) -> Result<Option<String>, String> {
    Ok(text(cell, 64)?.map(|text| text.to_lowercase()))
}

fn flag(cell: Cell) -> Result<Option<bool>, String> {
    if let Cell::Flag(flag) = cell {
        return Ok(Some(flag));
    }
    match word(cell)? {
        None => Ok(None),
        Some(word) if TRUE.contains(&&*word) => Ok(Some(true)),
        Some(word) if FALSE.contains(&&*word) => Ok(Some(false)),
        Some(_) => Err("The value is neither yes nor no. Write yes or no, true or false, or 1 or 0.".to_owned()),
    }
}

fn status(cell: Cell) -> Result<UserStatus, String> {
    let active = |is_active| if is_active { UserStatus::Active } else { UserStatus::Suspended };
    if let Cell::Flag(is_active) = cell {
        return Ok(active(is_active));
    }
    let Some(word) = word(cell)? else { return Ok(UserStatus::Unknown) };
    let found = STATUSES.iter().find(|(_, words)| words.contains(&&*word)).map(|(status, _)| *status);
    let found = found.or_else(|| TRUE.contains(&&*word).then(|| active(true)));
    let found = found.or_else(|| FALSE.contains(&&*word).then(|| active(false)));
    found.ok_or_else(|| "The value is not a status. Write active, suspended, invited or unknown.".to_owned())
}

fn kind(cell: Cell) -> Result<Option<AccountKind>, String> {
    let Some(word) = word(cell)? else { return Ok(None) };
    let found = KINDS.iter().find(|(_, words)| words.contains(&&*word)).map(|(kind, _)| *kind);
    found.map(Some).ok_or_else(|| "The value is not a kind of account. Write human, service or shared.".to_owned())
}

/// Adds the texts of a cell to those of the cells before.
fn add(texts: &mut Option<Vec<String>>, cell: Cell, longest: usize) -> Result<(), String> {
    let more = match cell {
        Cell::Texts(texts) => texts,
        Cell::Text(text) => text.split([',', ';', '|', '\n']).map(str::to_owned).collect(),
        Cell::Flag(_) => return Err("The value must be a text or a list of texts.".to_owned()),
    };
    let texts = texts.get_or_insert_default();
    for text in more {
        let text = text.trim();
        if text.chars().count() > longest {
            return Err(format!("One of the texts is longer than {longest} characters."));
        }
        if !text.is_empty() && !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    if texts.len() > MOST_TEXTS {
        return Err(format!("There are more than {MOST_TEXTS} texts."));
    }
    Ok(())
}

/// A time. Without an offset it is UTC; a day without a time is its beginning.
fn time(cell: Cell, dates: Option<DateOrder>) -> Result<Option<Timestamp>, String> {
    let Some(text) = word(cell)? else { return Ok(None) };
    if matches!(&*text, "never" | "nie" | "jamais" | "nunca" | "-") {
        return Ok(Some(Timestamp::NEVER));
    }
    let is_slashed = text.split(' ').next().is_some_and(|day| day.contains('/') && !begins_with_year(day));
    let days: &[&str] = match dates {
        _ if !is_slashed => &["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d"],
        Some(DateOrder::DayFirst) => &["%d/%m/%Y"],
        Some(DateOrder::MonthFirst) => &["%m/%d/%Y"],
        None => {
            let message = "The value does not tell the day from the month. Say the order of dates: dmy or mdy.";
            return Err(message.to_owned());
        }
    };
    let found = instant(&text).or_else(|| days.iter().find_map(|day| local(&text, day)));
    match found {
        // 0 is “never”.
        Some(ms) if ms != 0 => Ok(Some(Timestamp(ms))),
        _ => Err("The value is not a date. Write 2026-01-31 or 2026-01-31T12:00:00Z.".to_owned()),
    }
}

fn begins_with_year(day: &str) -> bool {
    day.split('/').next().is_some_and(|part| part.len() == 4)
}

/// A time with an offset.
fn instant(text: &str) -> Option<i64> {
    let upper = text.to_uppercase();
    let time =
        DateTime::parse_from_rfc3339(&upper).or_else(|_| DateTime::parse_from_str(&upper, "%Y-%m-%d %H:%M:%S%z"));
    time.ok().map(|time| time.timestamp_millis())
}

/// A day in this form, alone or with a time.
fn local(text: &str, day: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, day) {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    }
    let times =
        [" %H:%M", " %H:%M:%S", " %H:%M:%S%.f", "t%H:%M", "t%H:%M:%S", "t%H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p"];
    let time = times.iter().find_map(|time| NaiveDateTime::parse_from_str(text, &format!("{day}{time}")).ok())?;
    Some(time.and_utc().timestamp_millis())
}
