//! Rules of the GraphQL specification that the schema's own validation leaves out. None of them
//! depends on the schema.

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Positioned, ServerError, Value, Variables};

use crate::graphql::error::{Code, error};

/// Checks the operation that is to be executed.
pub(super) fn check(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), ServerError> {
    check_required_variables(operation, variables)?;
    if operation.ty == OperationType::Subscription {
        check_single_root(document, operation)?;
    }
    Ok(())
}

/// Checks every `__typename` of the document.
pub(super) fn check_typenames(document: &ExecutableDocument) -> Result<(), ServerError> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    operations.chain(fragments).try_for_each(|set| check_typenames_of(&set.node))
}

/// The arguments, directives and selections of `__typename`, which the validation ignores.
fn check_typenames_of(set: &SelectionSet) -> Result<(), ServerError> {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                check_typename(field)?;
            }
            Selection::Field(field) => check_typenames_of(&field.node.selection_set.node)?,
            Selection::InlineFragment(inline) => check_typenames_of(&inline.node.selection_set.node)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn check_typename(field: &Positioned<Field>) -> Result<(), ServerError> {
    let known = |name: &str| name == "skip" || name == "include";
    let message = if !field.node.selection_set.node.items.is_empty() {
        "__typename is a String! and has no fields."
    } else if !field.node.arguments.is_empty() {
        "__typename takes no arguments."
    } else if !field.node.directives.iter().all(|directive| known(&directive.node.name.node)) {
        "Unknown directive on __typename."
    } else {
        return Ok(());
    };
    let mut error = invalid(message);
    error.locations = vec![field.pos];
    Err(error)
}

/// The schema would notice only at the field that uses the variable, after it executed the mutations
/// before that field.
fn check_required_variables(operation: &OperationDefinition, variables: &Variables) -> Result<(), ServerError> {
    for definition in &operation.variable_definitions {
        let variable = &definition.node;
        let required = !variable.var_type.node.nullable && variable.default_value.is_none();
        let null = |value: &Value| *value == Value::Null;
        if required && variables.get(&variable.name.node).is_none_or(null) {
            let mut error = invalid(format!("The variable ${} needs a value that is not null.", variable.name.node));
            error.locations = vec![definition.pos];
            return Err(error);
        }
    }
    Ok(())
}

/// A subscription has exactly one root field. The schema would merge several in no order.
fn check_single_root(document: &ExecutableDocument, operation: &OperationDefinition) -> Result<(), ServerError> {
    let mut roots = Vec::new();
    collect_roots(document, &operation.selection_set.node, &mut roots);
    match roots.as_slice() {
        [field] if field.starts_with("__") => Err(invalid("A subscription cannot select introspection at its root.")),
        [_] => Ok(()),
        _ => Err(invalid("A subscription selects exactly one field at its root.")),
    }
}

fn collect_roots<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, roots: &mut Vec<&'a str>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => roots.push(field.node.name.node.as_str()),
            Selection::InlineFragment(inline) => {
                collect_roots(document, &inline.node.selection_set.node, roots);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect_roots(document, &fragment.node.selection_set.node, roots);
                }
            }
        }
    }
}

fn invalid(message: impl Into<String>) -> ServerError {
    error(Code::ValidationFailed, message)
}
