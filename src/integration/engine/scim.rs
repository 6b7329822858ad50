//! Values of SCIM, which applications may write in other forms than the standard's (RFC 7643, RFC 7644).

use serde_json::{Value, json};

use super::rules::parse_bool;
use crate::manifest::expr::whole_number;

/// Writes a response as the standard says: numbers and booleans that are texts, a single user that is no list, and
/// addresses that are no list of objects. The attributes have the standard's names already.
pub(super) fn normalize(body: &mut Value) {
    if let Some(total) = body.get_mut("totalResults")
        && let Some(number) = whole_number(total)
    {
        *total = number.into();
    }
    let Some(users) = body.get_mut("Resources") else { return };
    if users.is_object() {
        *users = Value::Array(vec![users.take()]);
    }
    for user in users.as_array_mut().into_iter().flatten() {
        if let Some(active) = user.get_mut("active") {
            make_bool(active);
        }
        if let Some(emails) = user.get_mut("emails") {
            make_list(emails);
        }
        let lists = user.as_object_mut().into_iter().flat_map(|user| user.values_mut()).filter_map(Value::as_array_mut);
        lists.flatten().filter_map(|entry| entry.get_mut("primary")).for_each(make_bool);
    }
}

/// Makes a boolean of a text or a number that is one.
fn make_bool(value: &mut Value) {
    if let Some(truth) = parse_bool(value) {
        *value = truth.into();
    }
}

/// Makes a list of objects with `value` of one object, of one text, or of a list of texts.
fn make_list(value: &mut Value) {
    if matches!(value, Value::Object(_) | Value::String(_)) {
        *value = Value::Array(vec![value.take()]);
    }
    for entry in value.as_array_mut().into_iter().flatten() {
        if entry.is_string() {
            *entry = json!({"value": entry.take()});
        }
    }
}
