//! The fields at the root of an operation.

use async_graphql::Variables;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql_value::{ConstValue, Name, Value};

/// A field at the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootField {
    pub name: String,
    /// The id of what it is about, as the client wrote it.
    pub id: Option<String>,
}

/// The arguments and input fields that say what a field is about.
const IDS: [&str; 2] = ["id", "instanceId"];

/// With those in fragments. Fragments have no cycles, because the document was checked.
pub(super) fn root_fields(document: &ExecutableDocument, set: &SelectionSet, variables: &Variables) -> Vec<RootField> {
    let below = |selection: &Selection| match selection {
        Selection::Field(field) => vec![root_field(&field.node, variables)],
        Selection::InlineFragment(fragment) => root_fields(document, &fragment.node.selection_set.node, variables),
        Selection::FragmentSpread(spread) => document
            .fragments
            .get(&spread.node.fragment_name.node)
            .map(|fragment| root_fields(document, &fragment.node.selection_set.node, variables))
            .unwrap_or_default(),
    };
    set.items.iter().flat_map(|item| below(&item.node)).collect()
}

fn root_field(field: &Field, variables: &Variables) -> RootField {
    let known = |name: Name| variables.get(&name).cloned().ok_or(());
    let mut values = field.arguments.iter().filter_map(|(name, value)| {
        let value: &Value = &value.node;
        Some((name.node.as_str(), value.clone().into_const_with(known).ok()?))
    });
    let id = values.find_map(|(name, value)| id_in(name, &value));
    RootField { name: field.name.node.to_string(), id }
}

fn id_in(name: &str, value: &ConstValue) -> Option<String> {
    match value {
        ConstValue::String(id) if IDS.contains(&name) => Some(id.clone()),
        ConstValue::Object(fields) if name == "input" => {
            fields.iter().find_map(|(name, value)| id_in(name.as_str(), value))
        }
        _ => None,
    }
}
