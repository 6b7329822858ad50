//! The built-in integration *List*: an application without an API, or an export from personnel records. Nobody is asked
//! for its users. Somebody delivers the whole list, as a file.
//!
//! A [`Reader`] makes users of the bytes of a file. It is fed in parts and holds one row, what is not taken yet, and a
//! few bytes for the id of each row, so that a file of any length can be read. It finds all faults that it can, up to
//! [`MOST_FAULTS`]. A fault names the line and the column, and never repeats a value, which may be about a person.
//!
//! [`text`] decodes, [`csv`] and [`json`] find the rows, [`columns`] says which column is which field, and [`value`]
//! reads the usual spellings.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

use self::columns::Columns;
use self::csv::CsvRows;
use self::json::JsonRows;
use self::text::Decoder;
use super::catalog::{AuthenticationOption, Connector, Integration};
use super::manifest::auth::AuthenticationKind;
use super::source::Capability;
use super::user::{SourceUser, UserField};

pub mod columns;
mod csv;
mod json;
mod names;
mod preview;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use columns::Target;
pub use preview::{Preview, guess_encoding, preview};
pub use text::Encoding;
pub use value::DateOrder;

pub const KEY: &str = "list";

/// The most faults that are told of one file.
pub const MOST_FAULTS: usize = 20;
/// The longest row, in bytes of UTF-8.
pub const LONGEST_ROW: usize = 64 * 1024;
/// The most columns of a row.
pub const MOST_COLUMNS: usize = 256;

/// The entry of the catalog.
pub(super) fn integration(connector: Connector) -> Integration {
    Integration {
        key: KEY.into(),
        name: "List".into(),
        also_known_as: ["CSV", "JSON Lines", "Excel", "Upload"].map(str::to_owned).to_vec(),
        category: "lists".into(),
        description: "An application without an API, or people from an HR system: you deliver the whole list as a \
            CSV or JSON Lines file."
            .into(),
        authentication_options: vec![AuthenticationOption {
            key: "default".into(),
            label: "None".into(),
            kind: AuthenticationKind::None,
        }],
        capabilities: Capability::of(UserField::ALL),
        fields: Vec::new(),
        required_permissions: Vec::new(),
        documentation_url: None,
        setup: "Nothing has to be set up. Create the instance, and set its interval to how often you will deliver a \
            list. Then deliver the first list: on the page of the instance, with `muster list push`, or with an HTTP \
            request. Each list is whole: who is not in it counts as removed."
            .into(),
        provided_fields: UserField::ALL.to_vec(),
        digest: format!("{KEY}-1"),
        connector,
    }
}

/// The format of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum), graphql(name = "ListFormat"))]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One row for each account. The first row has the names of the columns.
    #[default]
    Csv,
    /// One JSON object in each line.
    JsonLines,
}

/// How a file is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    pub format: Format,
    #[serde(default)]
    pub encoding: Encoding,
    /// What separates the columns of CSV. Without it, the first row decides.
    #[serde(default)]
    pub separator: Option<char>,
    /// Which columns have the fields. Without any, their names decide. In JSON Lines, they have the names of the fields.
    #[serde(default)]
    pub columns: Columns,
    /// The order of the parts of a date with slashes.
    #[serde(default)]
    pub dates: Option<DateOrder>,
}

impl Form {
    /// The parts of a user list that its columns have.
    pub fn capabilities(&self) -> Vec<Capability> {
        let fields: Vec<UserField> = self
            .columns
            .keys()
            .filter_map(|target| match target {
                Target::ExternalId => None,
                Target::Field(field) => Some(*field),
            })
            .collect();
        Capability::of(&fields)
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Fault {
    /// The line of the file, from 1.
    pub line: u64,
    /// The name of the column, or of the key.
    pub column: Option<String>,
    /// A sentence for a person. It never repeats a value.
    pub message: String,
}

impl Fault {
    fn row(line: u64, message: impl Into<String>) -> Self {
        Self { line, column: None, message: message.into() }
    }

    fn sentence(&self) -> String {
        let Self { line, column, message } = self;
        match column {
            Some(column) => format!("Line {line}, column “{column}”: {message}"),
            None => format!("Line {line}: {message}"),
        }
    }
}

/// A row of a file: the values of its fields.
struct Row {
    line: u64,
    /// Each value as it was written, with the column that it is from.
    cells: Vec<(Target, String, Cell)>,
}

/// A value as a file writes it.
#[derive(Debug, PartialEq)]
enum Cell {
    Text(String),
    Flag(bool),
    Texts(Vec<String>),
}

enum Rows {
    Csv(Box<CsvRows>),
    Json(JsonRows),
}

/// Reads a file. See the [module](self).
pub struct Reader {
    decoder: Decoder,
    text: String,
    rows: Rows,
    dates: Option<DateOrder>,
    /// The line of each id, by the hash of the id.
    lines: HashMap<u64, u64>,
    hash: RandomState,
    most: u64,
    read: u64,
    /// Whether a fault has ended the reading.
    is_over: bool,
    users: Vec<SourceUser>,
    faults: Vec<Fault>,
}

impl Reader {
    /// Reads at most `most` rows.
    pub fn new(form: &Form, most: u64) -> Self {
        let rows = match form.format {
            Format::Csv => Rows::Csv(Box::new(CsvRows::new(form.separator, form.columns.clone()))),
            Format::JsonLines => Rows::Json(JsonRows::default()),
        };
        Self {
            decoder: Decoder::new(form.encoding),
            text: String::new(),
            rows,
            dates: form.dates,
            lines: HashMap::new(),
            hash: RandomState::new(),
            most,
            read: 0,
            is_over: false,
            users: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Reads the next bytes. False if there is no use in more of them.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.read(bytes, false)
    }

    /// Reads what is left at the end of the file.
    pub fn end(&mut self) {
        if self.read(&[], true) && self.read == 0 {
            let is_missing = match &self.rows {
                Rows::Csv(rows) => rows.columns().is_none(),
                Rows::Json(_) => false,
            };
            if is_missing {
                self.faults.push(Fault::row(1, "The file is empty: the names of the columns are missing."));
            }
        }
    }

    fn read(&mut self, bytes: &[u8], last: bool) -> bool {
        if self.is_done() {
            return false;
        }
        self.text.clear();
        let decoded = self.decoder.decode(bytes, last, &mut self.text);
        let text = std::mem::take(&mut self.text);
        // After text that cannot be decoded, the last row is not whole.
        let ends = last && decoded.is_ok();
        let mut found = Vec::new();
        let went_on = match &mut self.rows {
            Rows::Csv(rows) => rows.push(&text, ends, &mut found),
            Rows::Json(rows) => rows.push(&text, ends, &mut found),
        };
        self.text = text;
        for row in found {
            match row {
                Ok(row) => self.add(row),
                Err(fault) => self.faults.push(fault),
            }
            if self.is_done() {
                return false;
            }
        }
        if let Err(fault) = went_on {
            self.faults.push(fault);
            self.is_over = true;
            return false;
        }
        if let Err(message) = decoded {
            let line = match &self.rows {
                Rows::Csv(rows) => rows.line(),
                Rows::Json(rows) => rows.line(),
            };
            self.faults.push(Fault::row(line, message));
            self.is_over = true;
            return false;
        }
        true
    }

    fn is_done(&self) -> bool {
        self.is_over || self.faults.len() >= MOST_FAULTS || self.read > self.most
    }

    fn add(&mut self, row: Row) {
        self.read += 1;
        let line = row.line;
        if self.read > self.most {
            let message = format!("The list is too long: it may have at most {} rows.", self.most);
            self.faults.push(Fault::row(line, message));
            return;
        }
        match value::user(row, self.dates) {
            Ok(user) => match self.lines.entry(self.hash.hash_one(&user.external_id)) {
                Entry::Occupied(first) => {
                    let first = first.get();
                    let message = format!("The id of this row is that of line {first}, too. An id may occur once.");
                    self.faults.push(Fault::row(line, message));
                }
                Entry::Vacant(entry) => {
                    entry.insert(line);
                    // What is refused anyway need not be kept.
                    if self.faults.is_empty() {
                        self.users.push(user);
                    }
                }
            },
            Err(faults) => self.faults.extend(faults),
        }
    }

    /// The next users, up to `most` of them.
    pub fn take(&mut self, most: usize) -> Vec<SourceUser> {
        let rest = self.users.split_off(most.min(self.users.len()));
        std::mem::replace(&mut self.users, rest)
    }

    /// How many users wait to be taken.
    pub fn waiting(&self) -> usize {
        self.users.len()
    }

    /// How many rows were read.
    pub fn count(&self) -> u64 {
        self.read
    }

    /// What is wrong with the file so far. It must not be used if there is anything.
    pub fn faults(&self) -> &[Fault] {
        &self.faults[..self.faults.len().min(MOST_FAULTS)]
    }

    /// The form with the separator and the columns that were found.
    pub fn found(&self, form: &Form) -> Form {
        let (separator, columns) = match &self.rows {
            Rows::Csv(rows) => rows.columns().map_or((None, Columns::new()), |(one, used)| (Some(one), used.clone())),
            Rows::Json(rows) => {
                let keys = rows.used().map(|target| (target, vec![target.name().to_owned()]));
                (None, keys.collect())
            }
        };
        Form { separator, columns, ..form.clone() }
    }
}
