//! Which documents ask for nothing but instances, runs, events and integrations.
//!
//! A field is in the table only if what it shows is stored with a transaction that records an event or
//! [counts](crate::db::Tx::note_unlogged) as a change without one, never changes, or
//! says until when it holds (`holds_until`). Whoever adds a field to the schema need not think of it: what is not
//! in the table is never kept.

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};

/// The fields of a type, each with the type of the objects that it gives; empty for a value.
type Fields = &'static [(&'static str, &'static str)];

const PAGE: (&str, &str) = ("pageInfo", "PageInfo");
const TOTAL: (&str, &str) = ("totalCount", "");
const TOTAL_IS_EXACT: (&str, &str) = ("totalCountIsExact", "");
const CURSOR: (&str, &str) = ("cursor", "");

/// The fields that are covered.
const COVERED: &[(&str, Fields)] = &[
    (
        "Query",
        &[
            ("eventCursor", ""),
            ("instance", "Instance"),
            ("instanceCounts", "InstanceCounts"),
            ("instanceEvents", "InstanceEventConnection"),
            ("instances", "InstanceConnection"),
            ("integration", "Integration"),
            ("integrations", "IntegrationConnection"),
            ("syncHistory", "SyncRunConnection"),
            ("syncRun", "SyncRun"),
        ],
    ),
    ("InstanceConnection", &[("edges", "InstanceEdge"), ("nodes", "Instance"), PAGE, TOTAL, TOTAL_IS_EXACT]),
    ("InstanceEdge", &[CURSOR, ("node", "Instance")]),
    ("IntegrationConnection", &[("edges", "IntegrationEdge"), ("nodes", "Integration"), PAGE, TOTAL, TOTAL_IS_EXACT]),
    ("IntegrationEdge", &[CURSOR, ("node", "Integration")]),
    ("SyncRunConnection", &[("edges", "SyncRunEdge"), ("nodes", "SyncRun"), PAGE, TOTAL, TOTAL_IS_EXACT]),
    ("SyncRunEdge", &[CURSOR, ("node", "SyncRun")]),
    (
        "InstanceEventConnection",
        &[("edges", "InstanceEventEdge"), ("nodes", "InstanceEvent"), PAGE, TOTAL, TOTAL_IS_EXACT],
    ),
    ("InstanceEventEdge", &[CURSOR, ("node", "InstanceEvent")]),
    ("PageInfo", &[("endCursor", ""), ("hasNextPage", ""), ("hasPreviousPage", ""), ("startCursor", "")]),
    (
        "Instance",
        &[
            ("capabilityStates", "CapabilityState"),
            ("config", "ConfigValue"),
            ("createdAt", ""),
            ("createdBy", ""),
            ("credentialExpiresAt", ""),
            ("currentSync", "SyncRun"),
            ("events", "InstanceEventConnection"),
            ("failingSince", ""),
            ("freshness", "Freshness"),
            ("headline", ""),
            ("health", ""),
            ("id", ""),
            ("inactiveReason", ""),
            ("integration", "Integration"),
            ("lastDelivery", "ListDelivery"),
            ("lastSync", "SyncRun"),
            ("name", ""),
            ("needsAttention", ""),
            ("nextSyncAt", ""),
            ("nextTryAt", ""),
            ("notice", "Notice"),
            ("revision", ""),
            ("status", ""),
            ("syncHistory", "SyncRunConnection"),
            ("syncIntervalMinutes", ""),
            ("syncState", ""),
            ("updatedAt", ""),
            ("userCount", ""),
        ],
    ),
    (
        "CapabilityState",
        &[
            ("asOf", ""),
            ("capability", ""),
            ("lostSince", ""),
            ("missingPermission", ""),
            ("provided", ""),
            ("reason", ""),
        ],
    ),
    (
        "InstanceCounts",
        &[("byHeadline", "InstanceHeadlineCount"), ("needsAttention", ""), ("stale", ""), ("total", "")],
    ),
    ("InstanceHeadlineCount", &[("count", ""), ("headline", "")]),
    ("ConfigValue", &[("isSet", ""), ("key", ""), ("value", "")]),
    (
        "ListDelivery",
        &[
            ("columns", "ListColumn"),
            ("dateOrder", ""),
            ("deliveredAt", ""),
            ("deliveredBy", ""),
            ("encoding", ""),
            ("format", ""),
            ("isWaiting", ""),
            ("separator", ""),
            ("userCount", ""),
        ],
    ),
    ("ListColumn", &[("columns", ""), ("field", "")]),
    ("Freshness", &[("asOf", ""), ("staleSince", ""), ("state", "")]),
    ("Notice", &[("detail", ""), ("remedies", "Remedy"), ("severity", ""), ("since", ""), ("title", "")]),
    ("Remedy", &[("action", ""), ("label", ""), ("mutation", "")]),
    (
        "InstanceEvent",
        &[("actor", ""), ("at", ""), ("cause", ""), CURSOR, ("instance", "Instance"), ("usersRemoved", "")],
    ),
    (
        "Integration",
        &[
            ("alsoKnownAs", ""),
            ("authentication", ""),
            ("authenticationOptions", "AuthenticationOption"),
            ("capabilities", ""),
            ("category", ""),
            ("configFields", "ConfigField"),
            ("description", ""),
            ("documentationUrl", ""),
            ("id", ""),
            ("instanceCount", ""),
            ("instanceCounts", "InstanceCounts"),
            ("instances", "InstanceConnection"),
            ("isDelivered", ""),
            ("key", ""),
            ("name", ""),
            ("providedFields", ""),
            ("requiredPermissions", ""),
            ("setup", ""),
            ("userCount", ""),
        ],
    ),
    ("AuthenticationOption", &[("key", ""), ("kind", ""), ("label", ""), ("redirectUri", "")]),
    (
        "ConfigField",
        &[
            ("default", ""),
            ("help", ""),
            ("key", ""),
            ("label", ""),
            ("onlyWith", ""),
            ("options", ""),
            ("pattern", ""),
            ("placeholder", ""),
            ("required", ""),
            ("secret", ""),
            ("type", ""),
        ],
    ),
    (
        "SyncRun",
        &[
            ("added", ""),
            ("changed", ""),
            ("failure", "SyncFailure"),
            ("finishedAt", ""),
            ("id", ""),
            ("instance", "Instance"),
            ("mailDecision", "MailDecision"),
            ("newBaseline", ""),
            ("outcome", ""),
            ("queuedAt", ""),
            ("remark", ""),
            ("removed", ""),
            ("seen", ""),
            ("startedAt", ""),
            ("trigger", ""),
            ("waitingFor", ""),
            ("waitingReason", ""),
            ("waitingUntil", ""),
        ],
    ),
    (
        "SyncFailure",
        &[("class", ""), ("httpStatus", ""), ("lostCapabilities", ""), ("message", ""), ("missingPermissions", "")],
    ),
    ("MailDecision", &[("kind", ""), ("reason", "")]),
];

/// The field that every type has.
pub const TYPENAME: &str = "__typename";

/// Whether all operations of a document are queries of covered fields. Its fragments must not contain themselves.
pub fn is_covered(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| {
        let set = &operation.node.selection_set.node;
        operation.node.ty == OperationType::Query && !is_trivial(set) && selects_covered(document, set, "Query")
    })
}

/// Whether the answer takes less than to look for it.
fn is_trivial(set: &SelectionSet) -> bool {
    set.items.iter().all(|item| matches!(&item.node, Selection::Field(field) if field.node.name.node == TYPENAME))
}

fn selects_covered(document: &ExecutableDocument, set: &SelectionSet, on: &str) -> bool {
    set.items.iter().all(|item| match &item.node {
        Selection::Field(field) => {
            let (name, inner) = (field.node.name.node.as_str(), &field.node.selection_set.node);
            name == TYPENAME || target(on, name).is_some_and(|target| selects_covered(document, inner, target))
        }
        Selection::InlineFragment(inline) => {
            let condition = inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
            condition.is_none_or(|condition| condition == on)
                && selects_covered(document, &inline.node.selection_set.node, on)
        }
        Selection::FragmentSpread(spread) => {
            document.fragments.get(&spread.node.fragment_name.node).is_some_and(|fragment| {
                fragment.node.type_condition.node.on.node == on
                    && selects_covered(document, &fragment.node.selection_set.node, on)
            })
        }
    })
}

/// The type of the objects that a covered field gives.
fn target(on: &str, name: &str) -> Option<&'static str> {
    let (_, fields) = COVERED.iter().find(|(covered, _)| *covered == on)?;
    fields.iter().find(|(field, _)| *field == name).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::types::{BaseType, Type, TypeKind, TypeSystemDefinition};
    use async_graphql::parser::{parse_query, parse_schema};

    use super::*;
    use crate::graphql::schema::sdl;

    fn base(of: &Type) -> &str {
        match &of.base {
            BaseType::Named(name) => name,
            BaseType::List(inner) => base(inner),
        }
    }

    #[test]
    fn every_listed_field_is_one_of_the_schema() {
        let schema = parse_schema(sdl()).unwrap();
        let objects: Vec<_> = schema
            .definitions
            .iter()
            .filter_map(|definition| match definition {
                TypeSystemDefinition::Type(it) => match &it.node.kind {
                    TypeKind::Object(object) => Some((it.node.name.node.as_str(), object)),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let object = |name: &str| objects.iter().find(|(known, _)| *known == name).map(|(_, object)| object);
        for (on, fields) in COVERED {
            let object_type = object(on).unwrap_or_else(|| panic!("{on}"));
            for (name, target) in *fields {
                let field = object_type.fields.iter().find(|field| field.node.name.node == *name);
                let of = base(&field.unwrap_or_else(|| panic!("{on}.{name}")).node.ty.node);
                assert_eq!(*target, if object(of).is_some() { of } else { "" }, "{on}.{name}");
                assert!(target.is_empty() || COVERED.iter().any(|(known, _)| known == target), "{on}.{name}");
            }
        }
    }

    #[test]
    fn only_what_is_listed_is_covered() {
        let is = |text: &str| is_covered(&parse_query(text).unwrap());
        for covered in [
            "{ instances(first: 50) { nodes { id lastSync { seen } integration { key } } } }",
            "query($id: ID!) { a: instance(id: $id) { ... { name } ... on Instance { health } ...F __typename } }
             fragment F on Instance { notice { title } events { nodes { cause } } }",
            "query A { instances { totalCount } } query B { __typename integrations { nodes { userCount } } }",
            "{ ...F } fragment F on Query { syncHistory { pageInfo { endCursor } } }",
        ] {
            assert!(is(covered), "{covered}");
        }
        for other in [
            "{ __typename }",
            "{ serverStatus { __typename } }",
            "{ instances { nodes { id users { totalCount } } } }",
            "{ instances { nodes { id } } users { totalCount } }",
            "{ node(id: \"a\") { id } }",
            "{ node(id: \"a\") { ... on Instance { id } } }",
            "{ instance(id: \"a\") { ... on Node { id } } }",
            "{ instance(id: \"a\") { ...F } } fragment F on Node { id }",
            "{ instance(id: \"a\") { lastSync { changes { totalCount } } } }",
            "{ instances { nodes { added_tomorrow } } }",
            "{ __schema { types { name } } }",
            "mutation { instances { totalCount } }",
            "subscription { instances { totalCount } }",
            "query A { instances { totalCount } } mutation B { instances { totalCount } }",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
