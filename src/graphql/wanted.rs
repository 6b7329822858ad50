//! Which columns of rows a document needs.
//!
//! A row of an instance, a run or a user has many columns, and most documents show a few of them. [`wanted`] looks
//! at the names of all fields of a document, whatever type they are selected of: too many columns cost little. The
//! fields that nobody selects are empty in the rows of such a document.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use entity::{instance, run};
use sea_orm::{IdenStatic, Iterable};

use super::api::Wanted;
use super::documents::Document;
use super::instance::Instance;
use super::sync_run::SyncRun;
use super::user::User;
use super::written::{ReadFields, Reads};
use crate::db::Columns;
use crate::directory::reported::shown_columns;

/// A type whose values are rows.
pub trait Row: ReadFields {
    /// What keys, orders, relations and cursors are made of, and the columns that cannot be left empty.
    const ALWAYS: &[&str];

    /// All columns, in the order of the struct.
    fn columns() -> impl Iterator<Item = &'static str>;
}

impl Row for Instance {
    const ALWAYS: &[&str] = &[
        "id",
        "integration_key",
        "name_key",
        "status",
        "sync_state",
        "health",
        "last_success_at",
        "created_at",
        "last_run_id",
        "current_run_id",
    ];

    fn columns() -> impl Iterator<Item = &'static str> {
        instance::Column::iter().map(|column| column.as_str())
    }
}

impl Row for SyncRun {
    const ALWAYS: &[&str] = &["id", "instance_id", "trigger"];

    fn columns() -> impl Iterator<Item = &'static str> {
        run::Column::iter().map(|column| column.as_str())
    }
}

impl Row for User {
    const ALWAYS: &[&str] = &["id", "instance_id", "status"];

    fn columns() -> impl Iterator<Item = &'static str> {
        shown_columns().map(|column| column.as_str())
    }
}

/// What a document needs. It is found once for each.
pub fn wanted(document: &Document) -> Wanted {
    *document.wanted.get_or_init(|| find(&document.parsed))
}

fn find(document: &ExecutableDocument) -> Wanted {
    let mut names = Vec::new();
    for (_, operation) in document.operations.iter() {
        collect(&operation.node.selection_set.node, &mut names);
    }
    for fragment in document.fragments.values() {
        collect(&fragment.node.selection_set.node, &mut names);
    }
    names.sort_unstable();
    names.dedup();
    let wanted = || {
        Some(Wanted { instances: of::<Instance>(&names)?, runs: of::<SyncRun>(&names)?, users: of::<User>(&names)? })
    };
    wanted().unwrap_or(Wanted::ALL)
}

fn collect<'a>(set: &'a SelectionSet, names: &mut Vec<&'a str>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                names.push(field.node.name.node.as_str());
                collect(&field.node.selection_set.node, names);
            }
            Selection::InlineFragment(inline) => collect(&inline.node.selection_set.node, names),
            // The fragments of a document are looked at once each.
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// `None` for everything.
fn of<T: Row>(names: &[&str]) -> Option<Columns> {
    let add = |columns: Columns, name: &str| Some(columns.with(T::columns().position(|column| column == name)?));
    let mut columns = T::ALWAYS.iter().try_fold(Columns::NONE, |columns, name| add(columns, name))?;
    for name in names {
        match T::reads(name) {
            None => {}
            Some(Reads::Everything) => return None,
            Some(Reads::Columns(more)) => {
                columns = more.iter().try_fold(columns, |columns, name| add(columns, name))?;
            }
        }
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn names<T: Row>(columns: Columns) -> Vec<&'static str> {
        T::columns().enumerate().filter(|(position, _)| columns.has(*position)).map(|(_, name)| name).collect()
    }

    #[test]
    fn a_document_needs_the_columns_of_the_fields_that_it_selects() {
        let document = parse_query(
            "{ users { nodes { email ...F } } instances { nodes { syncState freshness { asOf } } } }
             fragment F on User { ... { removedAt } }",
        );
        let wanted = find(&document.unwrap());
        assert_eq!(names::<User>(wanted.users), ["id", "instance_id", "email", "status", "removed_at"]);
        let instances = names::<Instance>(wanted.instances);
        let more: Vec<_> = instances.into_iter().filter(|name| !Instance::ALWAYS.contains(name)).collect();
        assert_eq!(more, ["inactive_since", "sync_interval_minutes"]);
        assert_eq!(names::<SyncRun>(wanted.runs), SyncRun::ALWAYS);
    }

    #[test]
    fn a_field_that_needs_everything_also_needs_it_of_what_it_refers_to() {
        let document = parse_query("{ instance(id: 1) { notice { message } } }").unwrap();
        assert_eq!(find(&document), Wanted::ALL);
    }

    #[test]
    fn every_column_that_a_field_needs_exists() {
        for field in ["lastSync", "id", "status", "failure", "licenses", "name"] {
            let document = parse_query(format!("{{ {field} }}")).unwrap();
            assert_ne!(find(&document), Wanted::ALL, "{field}");
        }
    }
}
