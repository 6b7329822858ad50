//! Finds the rows of JSON Lines: one object in each line, whose keys are the fields of a user.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::columns::Target;
use super::{Cell, Fault, LONGEST_ROW, Row};

#[derive(Default)]
pub(super) struct JsonRows {
    /// The beginning of a line.
    open: String,
    /// How many lines were read.
    lines: u64,
    used: BTreeSet<Target>,
}

impl JsonRows {
    /// Reads a part of the file. An error ends the reading.
    pub fn push(&mut self, text: &str, last: bool, found: &mut Vec<Result<Row, Fault>>) -> Result<(), Fault> {
        let mut parts = text.split_inclusive('\n').peekable();
        while let Some(part) = parts.next() {
            self.open.push_str(part);
            if self.open.len() > LONGEST_ROW {
                return Err(Fault::row(self.line(), "The line is too long."));
            }
            if part.ends_with('\n') || (last && parts.peek().is_none()) {
                self.close(found);
            }
        }
        if last && !self.open.is_empty() {
            self.close(found);
        }
        Ok(())
    }

    fn close(&mut self, found: &mut Vec<Result<Row, Fault>>) {
        self.lines += 1;
        let line = self.open.trim();
        if !line.is_empty() {
            let rows = rows(self.lines, line);
            let cells = rows.iter().flatten().flat_map(|row| &row.cells);
            self.used.extend(cells.map(|(target, ..)| *target));
            found.extend(rows);
        }
        self.open.clear();
    }

    /// The fields that at least one row has.
    pub fn used(&self) -> impl Iterator<Item = Target> {
        self.used.iter().copied()
    }

    /// The line that is being read.
    pub fn line(&self) -> u64 {
        self.lines + 1
    }
}

/// The row of a line, or its faults.
fn rows(line: u64, text: &str) -> Vec<Result<Row, Fault>> {
    let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else {
        return vec![Err(Fault::row(line, "The line is not a JSON object."))];
    };
    let (mut cells, mut faults) = (Vec::new(), Vec::new());
    for (key, value) in object {
        let mut fault = |message: String| {
            let key: String = key.chars().take(64).collect();
            faults.push(Err(Fault { line, column: Some(key), message }));
        };
        let Some(target) = Target::find(&key) else {
            let known: Vec<_> = Target::all().map(Target::name).collect();
            fault(format!("There is no such field. The fields are {}.", known.join(", ")));
            continue;
        };
        match value {
            Value::Null => {}
            Value::String(text) => cells.push((target, key, Cell::Text(text))),
            Value::Bool(flag) => cells.push((target, key, Cell::Flag(flag))),
            Value::Number(number) => cells.push((target, key, Cell::Text(number.to_string()))),
            Value::Array(values) => {
                let texts: Option<Vec<String>> =
                    values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect();
                match texts {
                    Some(texts) => cells.push((target, key, Cell::Texts(texts))),
                    None => fault("A list may have texts only.".to_owned()),
                }
            }
            Value::Object(_) => fault("The value must be a text, true, false, a list of texts or null.".to_owned()),
        }
    }
    if faults.is_empty() { vec![Ok(Row { line, cells })] } else { faults }
}
