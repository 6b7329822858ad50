//! Responses as JSON text.

use async_graphql::{Response, Value};

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
    write_plain(value, text);
}

/// Appends a value that has no text written before in it.
pub fn write_plain(value: &(impl serde::Serialize + ?Sized), text: &mut Vec<u8>) {
    // A vector takes every write, and these values have no keys that could be refused.
    let _always_written = serde_json::to_writer(text, value);
}
