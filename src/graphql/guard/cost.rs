//! What a document would cost with every fragment expanded, without expanding
//! it: each fragment is weighed once, and its weight added at each spread.

use std::collections::HashMap;

use async_graphql::{
    Positioned,
    parser::types::{Directive, ExecutableDocument, Selection, SelectionSet},
};

/// The cost of a selection set. Sums saturate, so a fragment bomb is merely a large number.
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
    /// Levels of the list fields by which introspection can be made to go in circles.
    pub circle_levels: u32,
    /// The most of `circle_levels` below one use of `__schema` or `__type`.
    pub introspection_circles: u32,
}

impl Cost {
    fn beside(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            introspections: self.introspections.saturating_add(other.introspections),
            circle_levels: self.circle_levels.max(other.circle_levels),
            introspection_circles: self.introspection_circles.max(other.introspection_circles),
        }
    }

    fn of_directives(directives: &[Positioned<Directive>]) -> Self {
        Self { directives: u32::try_from(directives.len()).unwrap_or(u32::MAX), ..Self::default() }
    }
}

/// A fragment that contains itself, directly or through others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle;

/// Weighs a document's parts.
pub(super) struct Scales<'a> {
    document: &'a ExecutableDocument,
    /// `None` while the fragment is being weighed: to meet it then is a cycle.
    fragments: HashMap<&'a str, Option<Cost>>,
}

impl<'a> Scales<'a> {
    pub(super) fn new(document: &'a ExecutableDocument) -> Self {
        Self { document, fragments: HashMap::new() }
    }

    /// All operations together: the schema's own checks walk every one of them.
    pub(super) fn operations(&mut self) -> Result<Cost, Cycle> {
        let mut total = Cost::default();
        for (_, operation) in self.document.operations.iter() {
            let operation = &operation.node;
            total = total
                .beside(Cost::of_directives(&operation.directives))
                .beside(self.selection_set(&operation.selection_set.node)?);
            for variable in &operation.variable_definitions {
                total = total.beside(Cost::of_directives(&variable.node.directives));
            }
        }
        Ok(total)
    }

    /// The dearest in each respect of all fragments, used or not.
    pub(super) fn dearest_fragment(&mut self) -> Result<Cost, Cycle> {
        let mut most = Cost::default();
        for name in self.document.fragments.keys() {
            let cost = self.fragment(name)?;
            most = Cost {
                selections: most.selections.max(cost.selections),
                aliases: most.aliases.max(cost.aliases),
                directives: most.directives.max(cost.directives),
                introspections: most.introspections.max(cost.introspections),
                ..most.beside(cost)
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
                    around(field.node.name.node.as_str(), inner)
                }
                Selection::InlineFragment(inline) => self.selection_set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
            };
            total = total.beside(cost).beside(inner);
        }
        Ok(total)
    }

    /// An unknown fragment costs nothing: validation refuses it.
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
                    .beside(Cost::of_directives(&fragment.node.directives));
                self.fragments.insert(name.as_str(), Some(cost));
                Ok(cost)
            }
        }
    }
}

/// The cost of what stands in a field, seen from outside the field.
fn around(field: &str, mut inner: Cost) -> Cost {
    inner.depth = inner.depth.saturating_add(1);
    match field {
        "fields" | "inputFields" | "interfaces" | "possibleTypes" => {
            inner.circle_levels = inner.circle_levels.saturating_add(1);
        }
        "__schema" | "__type" => {
            inner.introspections = inner.introspections.saturating_add(1);
            inner.introspection_circles = inner.introspection_circles.max(inner.circle_levels);
        }
        _ => {}
    }
    inner
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn weigh(document: &str) -> Result<Cost, Cycle> {
        Scales::new(&parse_query(document).expect(document)).operations()
    }

    #[test]
    fn a_spread_weighs_what_its_fragment_holds() {
        let cost = weigh("{ x: a { ...F ...F b @skip(if: true) } } fragment F on A { y: c { d } }");
        let expected = Cost { selections: 8, aliases: 3, directives: 1, depth: 3, ..Cost::default() };
        assert_eq!(cost, Ok(expected));
    }

    #[test]
    fn a_fragment_bomb_is_weighed_without_being_lit() {
        let bomb: String = (0..60)
            .map(|i| format!("fragment f{i} on Query {{ ...f{0} ...f{0} }} ", i + 1))
            .chain(["fragment f60 on Query { __typename } { ...f0 }".to_owned()])
            .collect();
        assert_eq!(weigh(&bomb).map(|cost| cost.selections), Ok(u32::MAX));
    }

    #[test]
    fn cycles_are_found_in_unused_fragments_too() {
        let used = "{ ...A } fragment A on Q { ...B } fragment B on Q { a { ...A } }";
        assert_eq!(weigh(used), Err(Cycle));
        let document = parse_query("{ a } fragment A on Q { ...A }").expect("valid");
        assert!(Scales::new(&document).operations().is_ok());
        assert_eq!(Scales::new(&document).dearest_fragment(), Err(Cycle));
    }

    #[test]
    fn introspection_circles_count_below_introspection_only() {
        let plain = weigh("{ run { fields { fields { fields } } } }").expect("no cycle");
        assert_eq!((plain.introspections, plain.introspection_circles), (0, 0));
        let circle = weigh(
            "{ a: __schema { types { ...T } } } fragment T on __Type { fields { type { interfaces { name } } } }",
        )
        .expect("no cycle");
        assert_eq!((circle.introspections, circle.introspection_circles), (1, 2));
    }
}
