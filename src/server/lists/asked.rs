//! What a request says about its file.

use axum::http::header;
use axum::http::request::Parts;
use integration::list::columns::Columns;
use integration::list::{DateOrder, Encoding, Form, Format, Target};

use crate::graphql::transport::problems::Problem;

/// The names of separators that are hard to write in an address.
const SEPARATORS: [(&str, char); 5] =
    [("comma", ','), ("semicolon", ';'), ("tab", '\t'), ("pipe", '|'), ("space", ' ')];

pub(super) struct Asked {
    pub form: Form,
    pub says_encoding: bool,
}

impl Asked {
    pub fn of(parts: &Parts) -> Result<Self, Problem> {
        let (format, charset) = content_type(parts)?;
        if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Problem::unsupported_media_type("The file must not be compressed."));
        }
        let mut form = Form { format, ..Form::default() };
        let mut says_encoding = charset.is_some();
        if let Some(charset) = charset {
            form.encoding = encoding(&charset)?;
        }
        let mut columns = Columns::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "encoding" => {
                    form.encoding = encoding(&value)?;
                    says_encoding = true;
                }
                "separator" => form.separator = Some(separator(&value)?),
                "dates" => form.dates = Some(dates(&value)?),
                _ => columns.entry(field(&name)?).or_default().push(value.into_owned()),
            }
        }
        if format == Format::JsonLines && (!columns.is_empty() || form.separator.is_some()) {
            let message = "JSON Lines have no columns: the keys of the objects are the names of the fields.";
            return Err(Problem::bad_request(message));
        }
        form.columns = columns;
        Ok(Self { form, says_encoding })
    }
}

/// The format, and the encoding if it is said there.
fn content_type(parts: &Parts) -> Result<(Format, Option<String>), Problem> {
    let given = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pieces = given.split(';').map(str::trim);
    let format = match &*pieces.next().unwrap_or_default().to_ascii_lowercase() {
        "text/csv" | "text/tab-separated-values" => Format::Csv,
        "application/x-ndjson" | "application/jsonl" | "application/json-lines" => Format::JsonLines,
        _ => {
            let message = "Send Content-Type: text/csv, or application/x-ndjson for JSON Lines.";
            return Err(Problem::unsupported_media_type(message));
        }
    };
    let charset = pieces.find_map(|piece| {
        let (name, value) = piece.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    Ok((format, charset))
}

fn encoding(name: &str) -> Result<Encoding, Problem> {
    Encoding::find(name).ok_or_else(|| {
        let names: Vec<_> = Encoding::ALL.into_iter().map(Encoding::name).collect();
        Problem::bad_request(format!("The encoding is one of {}.", names.join(", ")))
    })
}

fn field(name: &str) -> Result<Target, Problem> {
    Target::find(name).ok_or_else(|| {
        let fields: Vec<_> = Target::all().map(Target::name).collect();
        let message = format!(
            "The parameters are encoding, separator, dates, and the fields, each with the name of its column: {}.",
            fields.join(", ")
        );
        Problem::bad_request(message)
    })
}

fn separator(text: &str) -> Result<char, Problem> {
    let named = SEPARATORS.iter().find(|(name, _)| *name == text).map(|(_, separator)| *separator);
    let mut letters = text.chars();
    let single = letters.next().filter(|letter| letters.next().is_none() && fits(*letter));
    named.or(single).ok_or_else(|| {
        Problem::bad_request(
            "The separator is comma, semicolon, tab, pipe, or another character that is no letter, digit or quote.",
        )
    })
}

fn fits(letter: char) -> bool {
    letter == '\t' || (letter.is_ascii() && !letter.is_ascii_alphanumeric() && !letter.is_control() && letter != '"')
}

fn dates(text: &str) -> Result<DateOrder, Problem> {
    match text {
        "dmy" => Ok(DateOrder::DayFirst),
        "mdy" => Ok(DateOrder::MonthFirst),
        _ => Err(Problem::bad_request("The order of dates is dmy (day first) or mdy (month first).")),
    }
}
