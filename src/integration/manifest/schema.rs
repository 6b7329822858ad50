//! The language as a JSON Schema (2020-12), for editors that complete and underline.
//!
//! It is derived from the types that a manifest is parsed into. Types that are parsed by hand
//! have a schema written by hand. The schema accepts some manifests that have faults, but
//! refuses none that is correct.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::Manifest;
use super::auth::{AuthForm, AuthOption};
use super::config::WholePattern;
use super::errors::Pattern;
use super::expr::{ListPath, MatchesForm, Path, Predicate};
use super::listing::form::ListingForm;
use super::mapping::{Flag, FlagForm, Labels, LabelsForm, Text, TextForm};
use super::records::{Records, RecordsForm};
use super::template::{BodyPath, JsonTemplate, OneOrMany, Template};
use crate::user::UserField;

/// The schema of a manifest.
pub fn schema() -> Value {
    schema_of::<Manifest>("A connector of Muster")
}

/// The schema of a type that is read from YAML.
pub fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft2020_12().with_transform(NoNull).into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    schema.to_value()
}

/// Removes null from the schema, because a key without a value is left out.
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(kinds)) = schema.get_mut("anyOf") {
            kinds.retain(|kind| *kind != json!({"type": "null"}));
            if let [Value::Object(only)] = kinds.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    if schema.get(&key).is_none() {
                        schema.insert(key, value);
                    }
                }
            }
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        transform_subschemas(self, schema);
    }
}

/// A text that YAML may read as a number or a boolean.
pub struct Scalar;

/// `users: scim`, or a listing.
pub struct Users;

/// Implements `JsonSchema` for a type with a schema written by hand.
macro_rules! by_hand {
    ($type:ty, $name:literal, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

by_hand!(Scalar, "Scalar", |_generator| json_schema!({"type": ["string", "number", "boolean"]}));
by_hand!(UserField, "UserField", |_generator| {
    let names: Vec<String> = UserField::ALL.iter().map(ToString::to_string).collect();
    json_schema!({"description": "A field of a user.", "type": "string", "enum": names})
});
by_hand!(Template, "Template", |_generator| json_schema!({
    "description": "A text; {{config.x}}, {{found.x}}, {{record.x}} and {{token}} are replaced by their values.",
    "type": ["string", "number", "boolean"],
}));
by_hand!(JsonTemplate, "JsonTemplate", |_generator| json_schema!({
    "description": "A JSON body; its texts are templates.",
}));
by_hand!(BodyPath, "BodyPath", |_generator| json_schema!({
    "description": "A member of the body, such as $.variables.after.",
    "type": "string",
    "pattern": r"^\$(\.[^.]+)+$",
}));
by_hand!(Path, "Path", |_generator| json_schema!({
    "description": "A JSONPath (RFC 9535), such as $.profile.email.",
    "type": "string",
    "pattern": r"^\$($|[^\[]|\[[^?])",
}));
by_hand!(ListPath, "ListPath", |_generator| json_schema!({
    "description": "The path of a whole list: $.users, or $ if the response is the list.",
    "type": "string",
    "pattern": r"^\$",
}));
by_hand!(Records, "Records", |generator| {
    let form = exactly::<RecordsForm>(generator, &[&["map", "key"], &["rows", "columns"]]);
    let path = generator.subschema_for::<ListPath>();
    json_schema!({
        "description": "The path of a whole list; {map: path, key: name} of an object with a record in each member; or \
                        {rows: path, columns: path} of lists of values.",
        "anyOf": [path, form],
    })
});
by_hand!(Pattern, "Pattern", |_generator| json_schema!({"type": "string", "format": "regex"}));
by_hand!(WholePattern, "WholePattern", |_generator| json_schema!({"type": "string", "format": "regex"}));
by_hand!(Predicate, "Predicate", |generator| {
    let matches = generator.subschema_for::<MatchesForm>();
    json_schema!({
        "description": "A test: $[?@.is_bot == true], where @ is the record or the response, or {of: path, matches: pattern}.",
        "anyOf": [{"type": "string", "pattern": r"^\$\[\?"}, matches],
    })
});
by_hand!(Text, "Text", |generator| {
    let form = exactly::<TextForm>(generator, &[&["join"], &["const"], &["when", "then"], &["of", "values"]]);
    let (path, own) = (generator.subschema_for::<Path>(), generator.subschema_for::<Self>());
    json_schema!({
        "description": "A path; a list of texts, in which the first that finds a value counts; or a rule.",
        "anyOf": [path, {"type": "array", "items": own}, form],
    })
});
by_hand!(Flag, "Flag", |generator| {
    let kinds: [&[&str]; 5] = [&["any"], &["all"], &["not"], &["present_in"], &["absent_in"]];
    let form = exactly::<FlagForm>(generator, &kinds);
    let path = generator.subschema_for::<Path>();
    json_schema!({
        "description": "A yes or no: a path, a list of paths, or a rule.",
        "anyOf": [path, {"type": "array", "items": path}, form],
    })
});
by_hand!(Labels, "Labels", |generator| {
    let (path, form) = (generator.subschema_for::<Path>(), generator.subschema_for::<LabelsForm>());
    json_schema!({"description": "All values that a path finds.", "anyOf": [path, form]})
});
by_hand!(AuthOption, "AuthOption", |generator| {
    let kinds: [&[&str]; 8] = [
        &["bearer"],
        &["basic"],
        &["header"],
        &["query"],
        &["oauth2_client_credentials"],
        &["oauth2_authorization_code"],
        &["jwt_bearer"],
        &["session"],
    ];
    let form = exactly::<AuthForm>(generator, &kinds);
    json_schema!({"description": "How requests are signed.", "anyOf": [{"const": "none"}, form]})
});
by_hand!(Users, "Users", |generator| {
    let listing = generator.subschema_for::<ListingForm>();
    let whole = json!({"anyOf": [{"required": ["lists"]}, {"required": ["path", "pages", "records", "map"]}]});
    json_schema!({
        "description": "scim (the user list of SCIM 2.0), a list, or several lists.",
        "anyOf": [{"const": "scim"}, {"allOf": [listing, whole]}],
    })
});

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("OneOrMany_{}", T::schema_name()))
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

/// The schema of a mapping that must contain exactly one of these sets of keys.
pub(super) fn exactly<T: JsonSchema>(generator: &mut SchemaGenerator, kinds: &[&[&str]]) -> Schema {
    let mut form = T::json_schema(generator);
    let kinds: Vec<Value> = kinds.iter().map(|keys| json!({"required": keys})).collect();
    form.insert("oneOf".to_owned(), Value::Array(kinds));
    form
}
