//! For which variables a document is known to be valid.
//!
//! The schema's validation looks at the values of variables: at their types, at the names of enum values, and at the
//! numbers that give the sizes of pages and so the price of the document. It does not look into texts that cannot be
//! the name of an enum value, such as cursors and searches. A [`Shape`] is what it looks at. Variables of equal shapes
//! have equal verdicts.

use std::collections::VecDeque;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Name, ValidationResult, Value, Variables};
use parking_lot::Mutex;

/// The most shapes that are kept for a document.
const MAX_SHAPES: usize = 16;
/// The longest shape that is kept, in bytes.
const MAX_SHAPE_BYTES: usize = 256;

/// What validation looks at in the name of an operation and in the values of variables.
#[derive(PartialEq, Eq)]
pub struct Shape(Vec<u8>);

/// The shapes with which a document is valid.
pub(super) struct Verdicts {
    /// The variables of all operations, because validation visits all of them.
    variables: Vec<Name>,
    /// The oldest first.
    valid: Mutex<VecDeque<(Shape, ValidationResult)>>,
}

impl Verdicts {
    pub(super) fn of(document: &ExecutableDocument) -> Self {
        let definitions = document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions);
        let mut variables: Vec<Name> = definitions.map(|definition| definition.node.name.node.clone()).collect();
        variables.sort_unstable();
        variables.dedup();
        Self { variables, valid: Mutex::default() }
    }

    /// `None` if it is too long to be kept.
    pub(super) fn shape(&self, operation_name: Option<&str>, variables: &Variables) -> Option<Shape> {
        let mut shape = Vec::new();
        write_text(operation_name.unwrap_or_default(), &mut shape);
        for name in &self.variables {
            match variables.get(name) {
                None => shape.push(b'?'),
                Some(value) => write(value, &mut shape),
            }
            if shape.len() > MAX_SHAPE_BYTES {
                return None;
            }
        }
        Some(Shape(shape))
    }

    pub(super) fn find(&self, shape: &Shape) -> Option<ValidationResult> {
        self.valid.lock().iter().find(|(valid, _)| valid == shape).map(|(_, result)| *result)
    }

    pub(super) fn keep(&self, shape: &Shape, result: ValidationResult) {
        let mut valid = self.valid.lock();
        if valid.iter().any(|(known, _)| known == shape) {
            return;
        }
        if valid.len() == MAX_SHAPES {
            valid.pop_front();
        }
        valid.push_back((Shape(shape.0.clone()), result));
    }
}

fn write(value: &Value, shape: &mut Vec<u8>) {
    if shape.len() > MAX_SHAPE_BYTES {
        return;
    }
    match value {
        Value::Null => shape.push(b'0'),
        Value::Boolean(value) => shape.push(if *value { b't' } else { b'f' }),
        Value::Number(number) => write_text(&number.to_string(), shape),
        Value::String(text) if may_be_enum(text) => {
            shape.push(b'e');
            write_text(text, shape);
        }
        Value::String(_) => shape.push(b's'),
        // From JSON, there are no others.
        Value::Enum(name) => {
            shape.push(b'n');
            write_text(name, shape);
        }
        Value::Binary(_) => shape.push(b'b'),
        Value::List(items) => {
            shape.push(b'[');
            for item in items {
                write(item, shape);
            }
            shape.push(b']');
        }
        Value::Object(fields) => {
            shape.push(b'{');
            for (name, value) in fields {
                write_text(name, shape);
                write(value, shape);
            }
            shape.push(b'}');
        }
    }
}

/// Whether a text may be the name of an enum value. Those of this schema are in capitals.
fn may_be_enum(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// With its length, so that different values cannot be written alike.
fn write_text(text: &str, shape: &mut Vec<u8>) {
    shape.extend_from_slice(text.len().to_string().as_bytes());
    shape.push(b':');
    shape.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::graphql::schema::sdl;

    fn shape(operation_name: Option<&str>, variables: serde_json::Value) -> Option<Shape> {
        let document = parse_query("query A($a: String, $b: Int) { c } query B($d: String) { c }").unwrap();
        Verdicts::of(&document).shape(operation_name, &Variables::from_json(variables))
    }

    #[test]
    fn shapes_differ_where_validation_may() {
        let equal = [
            (json!({ "a": "one", "b": 1 }), json!({ "b": 1, "a": "another", "unknown": 5 })),
            (json!({ "a": { "x": ["é", "NAME"] } }), json!({ "a": { "x": ["a b", "NAME"] } })),
        ];
        for (one, other) in equal {
            assert!(shape(None, one.clone()) == shape(None, other.clone()), "{one} {other}");
        }
        let different = [
            json!({}),
            json!({ "a": null }),
            json!({ "b": null }),
            json!({ "a": "one" }),
            json!({ "a": "NAME" }),
            json!({ "a": "OTHER_NAME" }),
            json!({ "a": 1 }),
            json!({ "a": 11 }),
            json!({ "a": true }),
            json!({ "a": false }),
            json!({ "a": 1, "b": 1 }),
            json!({ "a": [] }),
            json!({ "a": ["one"] }),
            json!({ "a": [["one"]] }),
            json!({ "a": { "x": "one" } }),
            json!({ "a": { "y": "one" } }),
            json!({ "a": { "x": "one", "y": "one" } }),
        ];
        for (index, one) in different.iter().enumerate() {
            for other in &different[index + 1..] {
                assert!(shape(None, one.clone()) != shape(None, other.clone()), "{one} {other}");
            }
            assert!(shape(None, one.clone()) != shape(Some("A"), one.clone()), "{one}");
        }
    }

    #[test]
    fn long_shapes_are_not_kept() {
        assert!(shape(None, json!({ "a": vec!["x"; 10_000] })).is_none());
        assert!(shape(None, json!({ "a": "x".repeat(10_000) })).is_some());
        assert!(shape(None, json!({ "a": "X".repeat(10_000) })).is_none());
    }

    #[test]
    fn every_enum_value_is_recognised() {
        let sdl = sdl();
        let enums = sdl.split("\nenum ").skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
        let values = enums.flat_map(|text| text.lines().skip(1)).map(str::trim);
        let names: Vec<&str> = values.filter(|line| !line.is_empty() && !line.contains(['"', ' ', '.', ','])).collect();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            assert!(may_be_enum(name), "{name}");
        }
    }
}
