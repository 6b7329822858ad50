//! Responses as JSON text.

use async_graphql::{Response, Value};
use chrono::{DateTime, Datelike, Timelike, Utc};

/// A whole response.
pub fn response(response: &Response) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.push(b'{');
    if !response.errors.is_empty() {
        text.extend_from_slice(br#""errors":"#);
        write_plain(&response.errors, &mut text);
        text.push(b',');
    }
    text.extend_from_slice(br#""data":"#);
    write(&response.data, &mut text);
    text.push(b'}');
    text
}

/// Appends a value. A binary one is text that was written before, see [`super::written`].
pub fn write(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Binary(written) => text.extend_from_slice(written),
        Value::List(values) => {
            text.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(value, text);
            }
            text.push(b']');
        }
        Value::Object(fields) => {
            text.push(b'{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_plain(key.as_str(), text);
                text.push(b':');
                write(value, text);
            }
            text.push(b'}');
        }
        plain => write_plain(plain, text),
    }
}

/// Appends a text.
pub fn write_text(value: &str, text: &mut Vec<u8>) {
    // Most texts are short and have nothing to escape.
    if value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        return write_plain(value, text);
    }
    text.reserve(value.len() + 2);
    text.push(b'"');
    text.extend_from_slice(value.as_bytes());
    text.push(b'"');
}

/// Appends a point in time by RFC 3339, as the library writes it.
pub fn write_date_time(at: &DateTime<Utc>, text: &mut Vec<u8>) {
    let (nanos, year) = (at.timestamp_subsec_nanos(), at.year());
    // Times are stored in milliseconds. Others, and other years, are as rare as leap seconds.
    if nanos % 1_000_000 != 0 || nanos >= 1_000_000_000 || !(0..=9999).contains(&year) {
        return write_text(&at.to_rfc3339(), text);
    }
    let mut digits = |before: u8, number: u32, count: u32| {
        text.push(before);
        text.extend((0..count).rev().map(|place| b'0' + (number / 10u32.pow(place) % 10) as u8));
    };
    digits(b'"', year.unsigned_abs(), 4);
    digits(b'-', at.month(), 2);
    digits(b'-', at.day(), 2);
    digits(b'T', at.hour(), 2);
    digits(b':', at.minute(), 2);
    digits(b':', at.second(), 2);
    if nanos > 0 {
        digits(b'.', nanos / 1_000_000, 3);
    }
    text.extend_from_slice(b"+00:00\"");
}

/// Appends a value that has no text written before in it.
pub fn write_plain(value: &(impl serde::Serialize + ?Sized), text: &mut Vec<u8>) {
    // A vector takes every write, and these values have no keys that could be refused.
    let _always_written = serde_json::to_writer(text, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn as_written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        write(&mut text);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn texts_are_as_the_library_writes_them(value in any::<String>()) {
            let written = as_written(|text| write_text(&value, text));
            prop_assert_eq!(written, serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn times_are_as_the_library_writes_them(
            seconds in prop_oneof![0i64..4_000_000_000, -100_000_000_000i64..300_000_000_000],
            nanos in prop_oneof![Just(0), (0u32..1000).prop_map(|ms| ms * 1_000_000), 0u32..2_000_000_000],
        ) {
            let Some(at) = DateTime::from_timestamp(seconds, nanos) else { return Ok(()) };
            let written = as_written(|text| write_date_time(&at, text));
            prop_assert_eq!(written, serde_json::to_string(&at.to_rfc3339()).unwrap());
        }
    }
}
