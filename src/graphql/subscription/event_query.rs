//! A subscription's query for each event, without its start position and filter. Subscribers with the
//! same document and the same values below the subscribed field share one execution, if they see the same instances.

use std::collections::BTreeSet;

use async_graphql::parser::types::{Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Request, Variables};
use async_graphql_value::{ConstValue, Value};

use crate::auth::Caller;
use crate::graphql::api::{Api, Wanted};
use crate::graphql::budget::Budget;
use crate::graphql::documents::{Checked, QueryKey};
use crate::graphql::guard::Operation;

/// A subscription's document, which is executed once for each event.
pub struct EventQuery {
    api: Api,
    caller: Caller,
    checked: Checked,
    operation_name: Option<String>,
    variables: Variables,
    budget: Budget,
    /// Queries with equal keys have equal results.
    pub key: QueryKey,
}

impl EventQuery {
    pub fn new(api: &Api, caller: Caller, operation: Operation) -> Self {
        let (checked, budget) = (operation.checked().clone(), operation.budget().clone());
        let Request { operation_name, variables, .. } = operation.into_request();
        let document = &checked.document;
        let used = used_below_the_root(&document.parsed, operation_name.as_deref());
        let values: Vec<(&Name, Option<&ConstValue>)> = used.iter().map(|name| (name, variables.get(name))).collect();
        let key = document.key(operation_name.as_deref(), (values, &caller.scope));
        Self { api: api.of(&caller, Wanted::ALL), caller, checked, operation_name, variables, budget, key }
    }

    /// A request that executes it.
    pub fn request(&self) -> Request {
        let request = self.checked.request(self.operation_name.clone(), self.variables.clone());
        request.data(self.budget.clone()).data(self.caller.clone()).data(self.api.clone())
    }

    /// What its executions may use.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// The variables that the results depend on. Those of the subscribed field's own arguments are not
/// among them: they give the start position and the filter.
fn used_below_the_root(document: &ExecutableDocument, name: Option<&str>) -> BTreeSet<Name> {
    let mut used = BTreeSet::new();
    for (operation_name, operation) in document.operations.iter() {
        if name.is_none() || operation_name.map(Name::as_str) == name {
            collect_root(&operation.node, &mut used);
        }
    }
    for fragment in document.fragments.values() {
        collect_set(&fragment.node.selection_set.node, &mut used);
    }
    used
}

fn collect_root(operation: &OperationDefinition, used: &mut BTreeSet<Name>) {
    for selection in &operation.selection_set.node.items {
        match &selection.node {
            Selection::Field(field) => {
                collect_directives(&field.node.directives, used);
                collect_set(&field.node.selection_set.node, used);
            }
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => collect_selection(&selection.node, used),
        }
    }
}

fn collect_set(set: &SelectionSet, used: &mut BTreeSet<Name>) {
    for selection in &set.items {
        collect_selection(&selection.node, used);
    }
}

fn collect_selection(selection: &Selection, used: &mut BTreeSet<Name>) {
    match selection {
        Selection::Field(field) => {
            for (_, argument) in &field.node.arguments {
                collect_value(&argument.node, used);
            }
            collect_directives(&field.node.directives, used);
            collect_set(&field.node.selection_set.node, used);
        }
        Selection::InlineFragment(fragment) => {
            collect_directives(&fragment.node.directives, used);
            collect_set(&fragment.node.selection_set.node, used);
        }
        Selection::FragmentSpread(spread) => collect_directives(&spread.node.directives, used),
    }
}

fn collect_directives(list: &[Positioned<Directive>], used: &mut BTreeSet<Name>) {
    for directive in list {
        for (_, argument) in &directive.node.arguments {
            collect_value(&argument.node, used);
        }
    }
}

fn collect_value(argument: &Value, used: &mut BTreeSet<Name>) {
    match argument {
        Value::Variable(name) => {
            used.insert(name.clone());
        }
        Value::List(items) => items.iter().for_each(|item| collect_value(item, used)),
        Value::Object(fields) => fields.values().for_each(|item| collect_value(item, used)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => {}
    }
}
