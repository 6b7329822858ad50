//! The fields at the root of an operation.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// Their names, with those in fragments. Fragments have no cycles, because the document was checked.
pub(super) fn root_fields(document: &ExecutableDocument, set: &SelectionSet) -> Vec<String> {
    let below = |selection: &Selection| match selection {
        Selection::Field(field) => vec![field.node.name.node.to_string()],
        Selection::InlineFragment(fragment) => root_fields(document, &fragment.node.selection_set.node),
        Selection::FragmentSpread(spread) => document
            .fragments
            .get(&spread.node.fragment_name.node)
            .map(|fragment| root_fields(document, &fragment.node.selection_set.node))
            .unwrap_or_default(),
    };
    set.items.iter().flat_map(|item| below(&item.node)).collect()
}
