//! What a subscriber asks of each event, told apart from where it begins: two subscribers
//! with the same document and the same values below the subscribed field ask the same.

use std::collections::BTreeSet;

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Request, Variables};
use ring::digest::{SHA256, digest};

use crate::graphql::guard::Operation;

/// A subscription's document, to be executed once per event.
pub struct Question {
    query: String,
    operation_name: Option<String>,
    variables: Variables,
    document: ExecutableDocument,
    /// Equal for questions with equal answers.
    pub key: Key,
}

pub type Key = [u8; 32];

impl Question {
    /// `None`: the guard let something through that it did not parse, which it does not.
    pub fn new(operation: Operation) -> Option<Self> {
        let query = operation.query().to_owned();
        let operation_name = operation.operation_name().map(str::to_owned);
        let variables = operation.variables().clone();
        let mut request = operation.into_request();
        let document = request.parsed_query().ok()?.clone();
        let used = used_below_the_root(&document, operation_name.as_deref());
        let values: Vec<(&Name, Option<&async_graphql_value::ConstValue>)> =
            used.iter().map(|name| (name, variables.get(name))).collect();
        let text = serde_json::to_vec(&(&query, &operation_name, values)).ok()?;
        let key = digest(&SHA256, &text).as_ref().try_into().ok()?;
        Some(Self { query, operation_name, variables, document, key })
    }

    /// The request that asks it once more.
    pub fn request(&self) -> Request {
        let mut request = Request::new(self.query.clone()).variables(self.variables.clone());
        request.operation_name.clone_from(&self.operation_name);
        request.set_parsed_query(self.document.clone());
        request
    }
}

/// The variables that the answers depend on: all but those of the subscribed field's own
/// arguments, which say where to begin and what to hear of.
fn used_below_the_root(document: &ExecutableDocument, name: Option<&str>) -> BTreeSet<Name> {
    let mut used = BTreeSet::new();
    for (operation_name, operation) in document.operations.iter() {
        if name.is_none() || operation_name.map(Name::as_str) == name {
            root(&operation.node, &mut used);
        }
    }
    for fragment in document.fragments.values() {
        selections(&fragment.node.selection_set.node, &mut used);
    }
    used
}

fn root(operation: &OperationDefinition, used: &mut BTreeSet<Name>) {
    for selection in &operation.selection_set.node.items {
        match &selection.node {
            Selection::Field(field) => {
                directives(&field.node.directives, used);
                selections(&field.node.selection_set.node, used);
            }
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => one(&selection.node, used),
        }
    }
}

fn selections(set: &SelectionSet, used: &mut BTreeSet<Name>) {
    for selection in &set.items {
        one(&selection.node, used);
    }
}

fn one(selection: &Selection, used: &mut BTreeSet<Name>) {
    match selection {
        Selection::Field(field) => {
            for (_, argument) in &field.node.arguments {
                value(&argument.node, used);
            }
            directives(&field.node.directives, used);
            selections(&field.node.selection_set.node, used);
        }
        Selection::InlineFragment(fragment) => {
            directives(&fragment.node.directives, used);
            selections(&fragment.node.selection_set.node, used);
        }
        Selection::FragmentSpread(spread) => directives(&spread.node.directives, used),
    }
}

fn directives(list: &[Positioned<async_graphql::parser::types::Directive>], used: &mut BTreeSet<Name>) {
    for directive in list {
        for (_, argument) in &directive.node.arguments {
            value(&argument.node, used);
        }
    }
}

fn value(argument: &async_graphql_value::Value, used: &mut BTreeSet<Name>) {
    use async_graphql_value::Value as Argument;
    match argument {
        Argument::Variable(name) => {
            used.insert(name.clone());
        }
        Argument::List(items) => items.iter().for_each(|item| value(item, used)),
        Argument::Object(fields) => fields.values().for_each(|item| value(item, used)),
        Argument::Null
        | Argument::Number(_)
        | Argument::String(_)
        | Argument::Boolean(_)
        | Argument::Binary(_)
        | Argument::Enum(_) => {}
    }
}
