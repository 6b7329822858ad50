//! Finds selections of equal response keys that only the library can merge, see [`crate::graphql::written`].

use async_graphql::Positioned;
use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};

/// Whether a response key of a composite type is selected twice where the library plans the selection: at the root, in
/// the payload of a mutation, and below `node`, whose type is an interface.
pub(super) fn is_left_to_library(document: &ExecutableDocument, operation: &OperationDefinition) -> bool {
    let mut roots = Vec::new();
    collect(document, &operation.selection_set.node, &mut roots);
    let below = |root: &&&Positioned<Field>| operation.ty == OperationType::Mutation || root.node.name.node == "node";
    repeats(&roots)
        || roots.iter().filter(below).any(|root| {
            let mut fields = Vec::new();
            collect(document, &root.node.selection_set.node, &mut fields);
            repeats(&fields)
        })
}

/// The fields with all fragments expanded, those for other types included.
fn collect<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, fields: &mut Vec<&'a Positioned<Field>>) {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) => fields.push(field),
            Selection::InlineFragment(inline) => collect(document, &inline.node.selection_set.node, fields),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set.node, fields);
                }
            }
        }
    }
}

fn repeats(fields: &[&Positioned<Field>]) -> bool {
    let composite = |field: &&&Positioned<Field>| !field.node.selection_set.node.items.is_empty();
    let mut keys: Vec<_> = fields.iter().filter(composite).map(|field| &field.node.response_key().node).collect();
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    keys.len() < all
}
