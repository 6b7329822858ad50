//! Whether a caller may execute a document.
//!
//! [`rules`] says what each field needs. [`Needs`] collects that for a document once, without its variables, so that a
//! document that was executed before costs a few comparisons. A document of which one field is refused is not executed
//! at all. So no resolver checks the role of its caller.

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::registry::{MetaTypeName, Registry};
use async_graphql::{Name, PathSegment, Pos, ServerError};

use self::rules::{Rule, rule};
use super::documents::covered::TYPENAME;
use super::error::ApiError;
use crate::auth::Caller;

pub mod rules;

const NO_RULE: ApiError = ApiError::Forbidden("This field is not open to anybody.");

/// What the operations of a document need.
pub struct Needs(Vec<(Option<Name>, Vec<Needed>)>);

/// The first field of an operation that has a rule. `None` if it has no rule.
struct Needed {
    rule: Option<Rule>,
    path: Vec<PathSegment>,
    at: Pos,
}

impl Needs {
    /// Of a document that is valid.
    pub fn of(document: &ExecutableDocument, schema: &Registry) -> Self {
        let operations = document.operations.iter().map(|(name, operation)| {
            let root = match operation.node.ty {
                OperationType::Query => "Query",
                OperationType::Mutation => "Mutation",
                OperationType::Subscription => "Subscription",
            };
            let mut look = Look { document, schema, path: Vec::new(), needed: Vec::new() };
            look.at(root, &operation.node.selection_set.node);
            (name.cloned(), look.needed)
        });
        Self(operations.collect())
    }

    /// Checks one of the operations, or the only one.
    pub fn check(&self, caller: &Caller, operation: Option<&str>) -> Result<(), ServerError> {
        let own = |name: &Option<Name>| operation.is_none() || name.as_deref() == operation;
        for Needed { rule, path, at } in self.0.iter().filter(|(name, _)| own(name)).flat_map(|(_, needed)| needed) {
            rule.map_or(Err(NO_RULE), |rule| rule.check(caller)).map_err(|refusal| {
                let mut error = ServerError::from(refusal).with_path(path.clone());
                error.locations = vec![*at];
                error
            })?;
        }
        Ok(())
    }
}

struct Look<'a> {
    document: &'a ExecutableDocument,
    schema: &'a Registry,
    path: Vec<PathSegment>,
    needed: Vec<Needed>,
}

impl<'a> Look<'a> {
    fn at(&mut self, on: &str, set: &'a SelectionSet) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let (name, shown) = (field.node.name.node.as_str(), field.node.response_key().node.as_str());
                    if name != TYPENAME {
                        self.path.push(PathSegment::Field(shown.to_owned()));
                        self.note(rule(on, name), item.pos);
                        if let Some(of) = self.type_of(on, name) {
                            self.at(of, &field.node.selection_set.node);
                        }
                        self.path.pop();
                    }
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let on = condition.map_or(on, |condition| condition.node.on.node.as_str());
                    self.at(on, &inline.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        self.at(&fragment.node.type_condition.node.on.node, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn note(&mut self, rule: Option<Rule>, at: Pos) {
        if !self.needed.iter().any(|needed| needed.rule == rule) {
            self.needed.push(Needed { rule, path: self.path.clone(), at });
        }
    }

    /// The type of what a field gives.
    fn type_of(&self, on: &str, field: &str) -> Option<&'a str> {
        let field = self.schema.types.get(on)?.field_by_name(field)?;
        Some(MetaTypeName::concrete_typename(&field.ty))
    }
}
