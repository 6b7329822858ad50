//! Documents that are generated from the schema.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, ServiceDocument, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};

pub fn schema() -> ServiceDocument {
    parse_schema(muster::graphql::schema::sdl()).unwrap()
}

fn types(schema: &ServiceDocument) -> BTreeMap<&str, &TypeDefinition> {
    let mut found = BTreeMap::new();
    for definition in &schema.definitions {
        if let TypeSystemDefinition::Type(of) = definition {
            found.insert(of.node.name.node.as_str(), &of.node);
        }
    }
    found
}

/// The name of a type, without its list and its exclamation marks.
pub fn base(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base(inner),
    }
}

/// The fields of each object.
pub fn objects(schema: &ServiceDocument) -> BTreeMap<&str, Vec<&FieldDefinition>> {
    let mut found = BTreeMap::new();
    for (name, of) in types(schema) {
        if let TypeKind::Object(object) = &of.kind {
            found.insert(name, object.fields.iter().map(|field| &field.node).collect());
        }
    }
    found
}

/// A valid literal of a type. That of an id is `"x"`.
fn example(types: &BTreeMap<&str, &TypeDefinition>, of: &str) -> String {
    let of = of.trim_end_matches('!');
    match (of, types.get(of).map(|it| &it.kind)) {
        (list, _) if list.starts_with('[') => "[]".into(),
        ("Boolean", _) => "true".into(),
        ("ID" | "String", _) => "\"x\"".into(),
        ("Int", _) => "1".into(),
        ("DateTime", _) => "\"2027-01-31T00:00:00Z\"".into(),
        ("Date", _) => "\"2027-01-31\"".into(),
        (_, Some(TypeKind::Enum(values))) => values.values[0].node.value.node.to_string(),
        (_, Some(TypeKind::InputObject(input))) => {
            let required = input.fields.iter().filter(|field| !field.node.ty.node.nullable);
            let values: Vec<_> = required
                .map(|it| format!("{}: {}", it.node.name.node, example(types, &it.node.ty.node.to_string())))
                .collect();
            format!("{{ {} }}", values.join(", "))
        }
        other => panic!("no example of {}", other.0),
    }
}

/// A field with its required arguments.
fn call(types: &BTreeMap<&str, &TypeDefinition>, field: &FieldDefinition) -> String {
    let required = field.arguments.iter().filter(|it| !it.node.ty.node.nullable);
    let arguments: Vec<_> =
        required.map(|it| format!("{}: {}", it.node.name.node, example(types, &it.node.ty.node.to_string()))).collect();
    let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
    format!("{}{arguments}", field.name.node)
}

/// Every field of a root type, with valid arguments and a selection.
pub fn operations(root: &str) -> Vec<(String, String)> {
    let schema = schema();
    let types = types(&schema);
    let objects = objects(&schema);
    let operation = |field: &&FieldDefinition| {
        let inner = if objects.contains_key(base(&field.ty.node)) || base(&field.ty.node) == "Node" {
            " { __typename }"
        } else {
            ""
        };
        (field.name.node.to_string(), format!("{}{inner}", call(&types, field)))
    };
    objects[root].iter().map(operation).collect()
}

/// The fields that lead from the root of queries to a type, and whether one of them is closed.
pub struct Way {
    pub steps: Vec<String>,
    pub is_closed: bool,
}

/// For each type that queries reach, the shortest way that passes no closed field, or else the shortest.
pub fn ways(schema: &ServiceDocument, closed: impl Fn(&str, &str) -> bool) -> BTreeMap<String, Way> {
    let (types, objects) = (types(schema), objects(schema));
    let mut ways = BTreeMap::new();
    for open_only in [true, false] {
        let mut seen = BTreeSet::new();
        let mut next = VecDeque::from([("Query".to_owned(), Vec::new(), false)]);
        while let Some((on, steps, is_closed)) = next.pop_front() {
            if !seen.insert(on.clone()) {
                continue;
            }
            ways.entry(on.clone()).or_insert_with(|| Way { steps: steps.clone(), is_closed });
            for field in &objects[on.as_str()] {
                let is_closed = is_closed || closed(&on, &field.name.node);
                let of = base(&field.ty.node);
                if objects.contains_key(of) && !(open_only && is_closed) {
                    next.push_back((of.to_owned(), [steps.clone(), vec![call(&types, field)]].concat(), is_closed));
                }
            }
        }
    }
    ways
}
