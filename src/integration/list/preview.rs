//! How the beginning of a file would be read, so that a person can choose its columns.

use serde::Serialize;
use serde_json::{Map, Value};

use super::columns::{Columns, Header, known};
use super::csv::first_rows;
use super::text::{Decoder, Encoding};
use super::{Fault, Form, Format};

/// How many rows are shown.
const ROWS: usize = 5;
/// The longest value that is shown, in characters.
const LONGEST: usize = 80;

/// The beginning of a file.
#[derive(Debug, Default, Serialize)]
pub struct Preview {
    pub encoding: Encoding,
    pub separator: Option<char>,
    /// The names of the columns.
    pub names: Vec<String>,
    /// The columns that would be used: the wanted ones if the file has them, otherwise those whose names are known.
    pub columns: Columns,
    /// Some rows, as they are written.
    pub rows: Vec<Vec<String>>,
    /// What is wrong with the beginning, in a sentence.
    pub problem: Option<String>,
}

/// Reads the beginning of a file.
pub fn preview(form: &Form, bytes: &[u8]) -> Preview {
    let mut text = String::new();
    let decoded = Decoder::new(form.encoding).decode(bytes, false, &mut text);
    let mut shown = Preview { encoding: form.encoding, ..Preview::default() };
    shown.problem = match (decoded, form.format) {
        (Err(message), _) => Some(message),
        (Ok(()), Format::Csv) => csv(form, &text, &mut shown).err().map(|fault| fault.to_string()),
        (Ok(()), Format::JsonLines) => json(&text, &mut shown),
    };
    for value in shown.rows.iter_mut().flatten() {
        if let Some((end, _)) = value.char_indices().nth(LONGEST) {
            value.truncate(end);
            value.push('…');
        }
    }
    shown
}

fn csv(form: &Form, text: &str, shown: &mut Preview) -> Result<(), Fault> {
    let (separator, rows) = first_rows(text, form.separator, ROWS + 1)?;
    shown.separator = Some(separator);
    let mut rows = rows.into_iter();
    let Some(names) = rows.next() else { return Err(Fault::row(1, "The file is empty.")) };
    shown.rows = rows.collect();
    shown.names = names.iter().map(|name| name.trim().to_owned()).collect();
    let wanted = (!form.columns.is_empty()).then(|| Header::of(1, names.clone(), &form.columns).ok()).flatten();
    shown.columns = if let Some(header) = wanted {
        header.used
    } else {
        let mut columns = Columns::new();
        for (target, at) in known(&shown.names) {
            columns.entry(target).or_default().push(shown.names[at].clone());
        }
        columns
    };
    Ok(())
}

fn json(text: &str, shown: &mut Preview) -> Option<String> {
    let mut objects = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(ROWS) {
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(object) => objects.push(object),
            Err(_) => return Some("This is not JSON Lines: each line must be one JSON object.".to_owned()),
        }
    }
    for key in objects.iter().flat_map(Map::keys) {
        if !shown.names.contains(key) {
            shown.names.push(key.clone());
        }
    }
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names = &shown.names;
    let row = |object: &Map<String, Value>| -> Vec<String> {
        names.iter().map(|name| object.get(name).map(cell).unwrap_or_default()).collect()
    };
    shown.rows = objects.iter().map(row).collect();
    None
}

/// The likely encoding of a file that has no mark.
pub fn guess_encoding(bytes: &[u8]) -> Encoding {
    let zeros = |first: usize| bytes.iter().skip(first).step_by(2).take(200).filter(|byte| **byte == 0).count();
    let half = bytes.len().min(400) / 4;
    if bytes.len() > 1 && zeros(1) > half {
        return Encoding::Utf16Le;
    }
    if bytes.len() > 1 && zeros(0) > half {
        return Encoding::Utf16Be;
    }
    match std::str::from_utf8(bytes) {
        // The beginning of a file may end within a character.
        Err(error) if error.error_len().is_some() => Encoding::Windows1252,
        Ok(_) | Err(_) => Encoding::Utf8,
    }
}
