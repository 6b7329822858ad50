use std::collections::BTreeSet;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};

use super::*;
use crate::graphql::schema::sdl;

#[test]
fn every_field_of_the_schema_has_exactly_one_rule() {
    let schema = parse_schema(sdl()).unwrap();
    let mut fields = BTreeSet::new();
    for definition in &schema.definitions {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let of_type = match &of.node.kind {
            TypeKind::Object(object) => &object.fields,
            TypeKind::Interface(interface) => &interface.fields,
            _ => continue,
        };
        fields.extend(of_type.iter().map(|field| (of.node.name.node.to_string(), field.node.name.node.to_string())));
    }
    let roots = ROOTS.iter().map(|(on, .., fields)| (*on, *fields));
    let rows = roots.chain(objects().map(|(on, _, fields)| (*on, *fields)));
    let mut ruled = BTreeSet::new();
    for (on, field) in rows.flat_map(|(on, fields)| fields.iter().map(move |field| (on, *field))) {
        assert!(ruled.insert((on.to_owned(), field.to_owned())), "{on}.{field} has two rules");
    }
    assert_eq!(fields.difference(&ruled).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "without a rule");
    assert_eq!(ruled.difference(&fields).collect::<Vec<_>>(), Vec::<&(String, String)>::new(), "not in the schema");
}
