//! Finds the optional variables that are given null if they have no value.
//!
//! If such a variable is the whole value of an argument, the argument counts as left out. For every
//! argument of this schema, that is the same as null. But the schema computes the price of a list from `first` before
//! the execution, and would report the missing variable as an error. Null prevents that. Inside an input object, a
//! missing field and null differ, so such variables are not changed.

use std::collections::HashSet;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql_value::Value;

/// The optional variables that are used as whole arguments only.
pub(super) fn of(document: &ExecutableDocument) -> Vec<Name> {
    let mut uses = Uses::default();
    for (_, operation) in document.operations.iter() {
        uses.collect(&operation.node.selection_set.node);
    }
    for fragment in document.fragments.values() {
        uses.collect(&fragment.node.selection_set.node);
    }
    // Of all operations, because the schema also computes the price of those that are not executed.
    let definitions = || document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions);
    let defaulted: HashSet<&Name> = definitions()
        .filter(|definition| definition.node.default_value.is_some())
        .map(|definition| &definition.node.name.node)
        .collect();
    let nullable = definitions().filter(|definition| {
        let variable = &definition.node;
        let name = &variable.name.node;
        let optional = variable.var_type.node.nullable && !defaulted.contains(name);
        optional && uses.whole.contains(name) && !uses.within.contains(name)
    });
    nullable.map(|definition| definition.node.name.node.clone()).collect()
}

/// Where variables are used.
#[derive(Default)]
struct Uses<'a> {
    /// As the whole value of an argument.
    whole: HashSet<&'a Name>,
    /// Inside a list or an input object.
    within: HashSet<&'a Name>,
}

impl<'a> Uses<'a> {
    fn collect(&mut self, set: &'a SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    for (_, value) in &field.node.arguments {
                        match &value.node {
                            Value::Variable(name) => drop(self.whole.insert(name)),
                            other => self.look_within(other),
                        }
                    }
                    self.collect(&field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => self.collect(&inline.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn look_within(&mut self, value: &'a Value) {
        match value {
            Value::Variable(name) => drop(self.within.insert(name)),
            Value::List(items) => items.iter().for_each(|item| self.look_within(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.look_within(field)),
            _ => {}
        }
    }
}
