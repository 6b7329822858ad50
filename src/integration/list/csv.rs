//! Finds the rows of CSV (RFC 4180, with any separator).

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::columns::{Columns, Header};
use super::{Cell, Fault, LONGEST_ROW, MOST_COLUMNS, Row};

/// What may separate columns, the likeliest first.
pub(super) const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];
/// The first line of some programs' files, which says the separator.
const SAYS_SEPARATOR: &str = "sep=";

pub(super) struct CsvRows {
    separator: Option<char>,
    wanted: Columns,
    /// The beginning of the file, until the separator is known.
    head: String,
    parser: Option<Parser>,
    header: Option<Header>,
}

/// One row at a time, in parts of any length.
struct Parser {
    separator: char,
    core: csv_core::Reader,
    /// The fields of the row without quotes, one after the other.
    bytes: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    fields: usize,
    /// The line in which the reader is.
    line: u64,
}

type Found = Vec<Result<Row, Fault>>;

impl CsvRows {
    pub fn new(separator: Option<char>, wanted: Columns) -> Self {
        Self { separator, wanted, head: String::new(), parser: None, header: None }
    }

    /// Reads a part of the file. An error ends the reading.
    pub fn push(&mut self, text: &str, last: bool, found: &mut Found) -> Result<(), Fault> {
        if self.parser.is_none() {
            self.head.push_str(text);
            let has_line = self.head.contains(['\n', '\r']) && !self.head.ends_with('\r');
            if !last && !has_line && self.head.len() <= LONGEST_ROW {
                return Ok(());
            }
            let head = std::mem::take(&mut self.head);
            let (separator, skipped) = separator_of(&head, self.separator);
            let mut parser = Parser::new(separator);
            parser.line += u64::from(skipped > 0);
            self.parser = Some(parser);
            return self.parse(&head[skipped..], last, found);
        }
        self.parse(text, last, found)
    }

    fn parse(&mut self, text: &str, last: bool, found: &mut Found) -> Result<(), Fault> {
        let Some(parser) = &mut self.parser else { return Ok(()) };
        let mut rest = text.as_bytes();
        loop {
            // An empty input is the end for the library.
            if rest.is_empty() && !last {
                return Ok(());
            }
            let Some((line, fields)) = parser.next(&mut rest, last)? else { return Ok(()) };
            match &self.header {
                None => self.header = Some(Header::of(line, fields, &self.wanted)?),
                Some(_) if fields.iter().all(|field| field.trim().is_empty()) => {}
                Some(header) => found.push(row(header, line, &fields)),
            }
        }
    }

    /// The line that is being read.
    pub fn line(&self) -> u64 {
        self.parser.as_ref().map_or(1, |parser| parser.line)
    }

    /// The separator and the columns that are used.
    pub fn columns(&self) -> Option<(char, &Columns)> {
        Some((self.parser.as_ref()?.separator, &self.header.as_ref()?.used))
    }
}

/// The separator and up to `most` rows of the beginning of a file.
pub(super) fn first_rows(text: &str, separator: Option<char>, most: usize) -> Result<(char, Vec<Vec<String>>), Fault> {
    let (separator, skipped) = separator_of(text, separator);
    let (mut parser, mut rest) = (Parser::new(separator), &text.as_bytes()[skipped..]);
    let mut rows = Vec::new();
    while rows.len() < most
        && let Some((_, fields)) = parser.next(&mut rest, true)?
    {
        rows.push(fields);
    }
    Ok((separator, rows))
}

fn row(header: &Header, line: u64, fields: &[String]) -> Result<Row, Fault> {
    if fields.len() != header.names.len() {
        let message = format!(
            "The row has {} columns, and the first row has {}. A value with the separator in it needs quotes.",
            fields.len(),
            header.names.len()
        );
        return Err(Fault::row(line, message));
    }
    let cells = header.targets.iter().map(|(target, at)| {
        let name = header.names[*at].clone();
        (*target, name, Cell::Text(fields[*at].clone()))
    });
    Ok(Row { line, cells: cells.collect() })
}

/// The separator, and the length of the line that says it.
fn separator_of(head: &str, given: Option<char>) -> (char, usize) {
    if let Some(rest) = head.strip_prefix(SAYS_SEPARATOR)
        && let mut characters = rest.chars()
        && let Some(said) = characters.next()
        && SEPARATORS.contains(&said)
        && let end = characters.as_str()
        && let Some(end) = end.strip_prefix("\r\n").or_else(|| end.strip_prefix('\n'))
    {
        return (given.unwrap_or(said), head.len() - end.len());
    }
    let first = head.split(['\n', '\r']).next().unwrap_or_default();
    let mut quoted = false;
    let outside = |separator: char| {
        quoted = false;
        let counted = first.chars().filter(|letter| {
            quoted ^= *letter == '"';
            !quoted && *letter == separator
        });
        counted.count()
    };
    let counts: Vec<usize> = SEPARATORS.into_iter().map(outside).collect();
    let most = counts.iter().copied().max().unwrap_or_default();
    let likely = SEPARATORS.into_iter().zip(counts).find(|(_, count)| *count == most).map(|(separator, _)| separator);
    (given.or(likely).unwrap_or(','), 0)
}

fn line_breaks(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

impl Parser {
    fn new(separator: char) -> Self {
        let byte = u8::try_from(separator).unwrap_or(b',');
        Self {
            separator,
            core: ReaderBuilder::new().delimiter(byte).build(),
            bytes: vec![0; LONGEST_ROW],
            used: 0,
            ends: vec![0; MOST_COLUMNS],
            fields: 0,
            line: 1,
        }
    }

    /// The next row with the line in which it begins; `None` if more of the file is needed, or it has ended.
    fn next(&mut self, rest: &mut &[u8], last: bool) -> Result<Option<(u64, Vec<String>)>, Fault> {
        loop {
            let (bytes, ends) = (&mut self.bytes[self.used..], &mut self.ends[self.fields..]);
            let (result, read, written, ended) = self.core.read_record(rest, bytes, ends);
            self.line += line_breaks(&rest[..read]);
            let ended_by_line = read.checked_sub(1).is_some_and(|at| rest[at] == b'\n');
            *rest = &rest[read..];
            self.used += written;
            self.fields += ended;
            match result {
                ReadRecordResult::InputEmpty if last => {}
                ReadRecordResult::InputEmpty => return Ok(None),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::OutputFull => {
                    let message = "The row is too long. A quotation mark at its beginning may have no end.";
                    return Err(Fault::row(self.begin(false), message));
                }
                ReadRecordResult::OutputEndsFull => {
                    let message = format!("The row has more than {MOST_COLUMNS} columns.");
                    return Err(Fault::row(self.begin(false), message));
                }
                ReadRecordResult::Record => {
                    let line = self.begin(ended_by_line);
                    let fields = self.take();
                    return Ok(Some((line, fields)));
                }
            }
        }
    }

    /// The line in which the row begins: there may be line breaks in its fields.
    fn begin(&self, ended_by_line: bool) -> u64 {
        let breaks = line_breaks(&self.bytes[..self.used]);
        self.line.saturating_sub(breaks + u64::from(ended_by_line)).max(1)
    }

    fn take(&mut self) -> Vec<String> {
        let mut fields = Vec::with_capacity(self.fields);
        let mut begin = 0;
        for end in &self.ends[..self.fields] {
            // What is fed is text, and is cut at ASCII characters.
            fields.push(String::from_utf8_lossy(&self.bytes[begin..*end]).into_owned());
            begin = *end;
        }
        (self.used, self.fields) = (0, 0);
        fields
    }
}
