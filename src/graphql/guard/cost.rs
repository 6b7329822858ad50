//! The cost of a document with all fragments expanded. Nothing is expanded: the cost of each fragment
//! is computed once, and added at each spread.

use std::collections::HashMap;

use async_graphql::Positioned;
use async_graphql::parser::types::{Directive, ExecutableDocument, Selection, SelectionSet};

/// The cost of a selection set. Sums saturate, so that a fragment bomb is only a large number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Fields, spreads and inline fragments.
    pub selections: u32,
    pub aliases: u32,
    pub directives: u32,
    /// Levels of fields; fragments do not add one.
    pub depth: u32,
    /// Uses of `__schema` and `__type`.
    pub introspections: u32,
    /// Levels of those list fields of introspection that lead back to types.
    pub cycle_levels: u32,
    /// The most `cycle_levels` below one use of `__schema` or `__type`.
    pub introspection_cycles: u32,
}

impl Cost {
    fn combined_with(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            introspections: self.introspections.saturating_add(other.introspections),
            cycle_levels: self.cycle_levels.max(other.cycle_levels),
            introspection_cycles: self.introspection_cycles.max(other.introspection_cycles),
        }
    }

    fn of_directives(directives: &[Positioned<Directive>]) -> Self {
        Self { directives: u32::try_from(directives.len()).unwrap_or(u32::MAX), ..Self::default() }
    }
}

/// A fragment that contains itself, directly or through others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle;

/// Computes the costs of a document's parts.
pub(super) struct CostAnalysis<'a> {
    document: &'a ExecutableDocument,
    /// `None` while the cost of the fragment is being computed: meeting it then is a cycle.
    fragments: HashMap<&'a str, Option<Cost>>,
}

impl<'a> CostAnalysis<'a> {
    pub(super) fn new(document: &'a ExecutableDocument) -> Self {
        Self { document, fragments: HashMap::new() }
    }

    /// The cost of all operations together: the schema's own checks visit every one of them.
    pub(super) fn operations(&mut self) -> Result<Cost, Cycle> {
        let mut total = Cost::default();
        for (_, operation) in self.document.operations.iter() {
            let operation = &operation.node;
            total = total
                .combined_with(Cost::of_directives(&operation.directives))
                .combined_with(self.selection_set(&operation.selection_set.node)?);
            for variable in &operation.variable_definitions {
                total = total.combined_with(Cost::of_directives(&variable.node.directives));
            }
        }
        Ok(total)
    }

    /// The highest of each cost among all fragments, used or not.
    pub(super) fn largest_fragment(&mut self) -> Result<Cost, Cycle> {
        let mut most = Cost::default();
        for name in self.document.fragments.keys() {
            let cost = self.fragment(name)?;
            most = Cost {
                selections: most.selections.max(cost.selections),
                aliases: most.aliases.max(cost.aliases),
                directives: most.directives.max(cost.directives),
                introspections: most.introspections.max(cost.introspections),
                ..most.combined_with(cost)
            };
        }
        Ok(most)
    }

    fn selection_set(&mut self, set: &'a SelectionSet) -> Result<Cost, Cycle> {
        let mut total = Cost::default();
        for item in &set.items {
            let mut cost = Cost::of_directives(item.node.directives());
            cost.selections = 1;
            let inner = match &item.node {
                Selection::Field(field) => {
                    cost.aliases = u32::from(field.node.alias.is_some());
                    let inner = self.selection_set(&field.node.selection_set.node)?;
                    field_cost(field.node.name.node.as_str(), inner)
                }
                Selection::InlineFragment(inline) => self.selection_set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
            };
            total = total.combined_with(cost).combined_with(inner);
        }
        Ok(total)
    }

    /// An unknown fragment costs nothing; validation refuses it.
    fn fragment(&mut self, name: &str) -> Result<Cost, Cycle> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Cost::default());
        };
        match self.fragments.get(name.as_str()) {
            Some(Some(known)) => Ok(*known),
            Some(None) => Err(Cycle),
            None => {
                self.fragments.insert(name.as_str(), None);
                let cost = self
                    .selection_set(&fragment.node.selection_set.node)?
                    .combined_with(Cost::of_directives(&fragment.node.directives));
                self.fragments.insert(name.as_str(), Some(cost));
                Ok(cost)
            }
        }
    }
}

/// The cost of a field whose selection set has the cost `inner`.
fn field_cost(field: &str, mut inner: Cost) -> Cost {
    inner.depth = inner.depth.saturating_add(1);
    match field {
        "fields" | "inputFields" | "interfaces" | "possibleTypes" => {
            inner.cycle_levels = inner.cycle_levels.saturating_add(1);
        }
        "__schema" | "__type" => {
            inner.introspections = inner.introspections.saturating_add(1);
            inner.introspection_cycles = inner.introspection_cycles.max(inner.cycle_levels);
        }
        _ => {}
    }
    inner
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn cost(document: &str) -> Result<Cost, Cycle> {
        CostAnalysis::new(&parse_query(document).expect(document)).operations()
    }

    #[test]
    fn a_spread_costs_what_its_fragment_costs() {
        let found = cost("{ x: a { ...F ...F b @skip(if: true) } } fragment F on A { y: c { d } }");
        let expected = Cost { selections: 8, aliases: 3, directives: 1, depth: 3, ..Cost::default() };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn the_cost_of_a_fragment_bomb_is_computed_without_expansion() {
        let bomb: String = (0..60)
            .map(|i| format!("fragment f{i} on Query {{ ...f{0} ...f{0} }} ", i + 1))
            .chain(["fragment f60 on Query { __typename } { ...f0 }".to_owned()])
            .collect();
        assert_eq!(cost(&bomb).map(|cost| cost.selections), Ok(u32::MAX));
    }

    #[test]
    fn cycles_are_found_in_unused_fragments_too() {
        let used = "{ ...A } fragment A on Q { ...B } fragment B on Q { a { ...A } }";
        assert_eq!(cost(used), Err(Cycle));
        let document = parse_query("{ a } fragment A on Q { ...A }").expect("valid");
        assert!(CostAnalysis::new(&document).operations().is_ok());
        assert_eq!(CostAnalysis::new(&document).largest_fragment(), Err(Cycle));
    }

    #[test]
    fn introspection_cycles_count_below_introspection_only() {
        let plain = cost("{ run { fields { fields { fields } } } }").expect("no cycle");
        assert_eq!((plain.introspections, plain.introspection_cycles), (0, 0));
        let cyclic =
            cost("{ a: __schema { types { ...T } } } fragment T on __Type { fields { type { interfaces { name } } } }")
                .expect("no cycle");
        assert_eq!((cyclic.introspections, cyclic.introspection_cycles), (1, 2));
    }
}
