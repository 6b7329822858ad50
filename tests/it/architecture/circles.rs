//! Which files below `src/graphql` import each other in cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{files, root};

/// The types of the schema refer to each other: an instance has runs, users and events, an integration has
/// instances, a person has users, and a user has findings, while each of them has an instance, a person or a user. No other file may be
/// part of a cycle.
const CIRCLES: &[&[&str]] = &[&[
    "finding/list.rs",
    "finding/mod.rs",
    "finding/posture.rs",
    "instance/event.rs",
    "instance/list.rs",
    "instance/mod.rs",
    "integration/mod.rs",
    "person/accounts.rs",
    "person/link.rs",
    "person/mod.rs",
    "sync_run/list.rs",
    "sync_run/mod.rs",
    "user/change.rs",
    "user/list.rs",
    "user/mod.rs",
]];

/// The paths that begin at the start of `text`, with every group written out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(text: &str) -> (Vec<Vec<String>>, usize) {
    let rest = text.trim_start();
    let space = text.len() - rest.len();
    if rest.starts_with('{') {
        let (mut found, mut at) = (Vec::new(), space + 1);
        loop {
            let (inner, length) = paths(&text[at..]);
            found.extend(inner);
            at += length;
            at += text[at..].len() - text[at..].trim_start().len();
            match text[at..].chars().next() {
                Some(',') => at += 1,
                Some('}') => return (found, at + 1),
                _ => return (found, at),
            }
        }
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return (Vec::new(), space);
    }
    let end = space + name.len();
    match text[end..].strip_prefix("::") {
        Some(after) => {
            let (mut found, length) = paths(after);
            if found.is_empty() {
                found.push(Vec::new());
            }
            for path in &mut found {
                path.insert(0, name.clone());
            }
            (found, end + 2 + length)
        }
        None => (vec![vec![name]], end),
    }
}

/// Where paths begin with `start`.
fn begins(code: &str, start: &str) -> impl Iterator<Item = usize> {
    let inside = |at: usize| code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    code.match_indices(start).map(|(at, _)| at).filter(move |at| !inside(*at))
}

/// The modules that a file names, as paths from the crate's root.
fn named(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // A child needs no `self::` in the file that declares it.
    let declared =
        code.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    for child in declared.filter(|child| begins(code, &format!("{child}::")).next().is_some()) {
        found.push(module.iter().cloned().chain([child.to_owned()]).collect());
    }
    for start in ["crate::", "super::", "self::"] {
        for at in begins(code, start) {
            for path in paths(&code[at..]).0 {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let skip = ups.max(1);
                let base = if path[0] == "crate" { &[][..] } else { &module[..module.len() - ups] };
                found.push(base.iter().chain(&path[skip..]).cloned().collect());
            }
        }
    }
    found
}

/// Each file below `src/graphql`, with the others that it imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut modules = BTreeMap::new();
    let mut codes = Vec::new();
    for path in files(&root().join("src/graphql")) {
        let name = path.strip_prefix(root().join("src/graphql")).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        // Test modules see everything.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String = text.lines().flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"]).collect();
        let inside = name.trim_end_matches(".rs").trim_end_matches("mod").split('/').filter(|part| !part.is_empty());
        let module: Vec<String> = ["graphql"].into_iter().chain(inside).map(str::to_owned).collect();
        modules.insert(module.clone(), name.clone());
        codes.push((name, module, code));
    }
    let file = |path: &[String]| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length]).cloned());
    let mut graph = BTreeMap::new();
    for (name, module, code) in codes {
        let mut imported: BTreeSet<String> = named(&code, &module).iter().filter_map(|path| file(path)).collect();
        imported.remove(&name);
        graph.insert(name, imported);
    }
    graph
}

/// Everything that can be reached from `start`.
fn reach(graph: &BTreeMap<String, BTreeSet<String>>, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(name) = open.pop() {
        for next in &graph[&name] {
            if found.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    found
}

#[test]
fn only_the_types_of_the_schema_import_each_other_in_a_circle() {
    let graph = imports();
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 150, "the scan finds next to nothing");
    let reached: BTreeMap<_, _> = graph.keys().map(|name| (name, reach(&graph, name))).collect();
    let circles: BTreeSet<Vec<&str>> = graph
        .keys()
        .filter(|name| reached[name].contains(*name))
        .map(|name| {
            let both = reached[name].iter().filter(|other| reached[other].contains(name));
            both.map(String::as_str).collect()
        })
        .collect();
    assert_eq!(circles, CIRCLES.iter().map(|circle| circle.to_vec()).collect());
}

#[test]
fn groups_of_imports_are_written_out() {
    let module = ["graphql", "instance", "list"].map(str::to_owned);
    let code = "use super::Instance; use crate::graphql::{api::Api, page::{self, int}}; use superb::thing; self::x()";
    let found: Vec<_> = named(code, &module).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "graphql::api::Api",
            "graphql::page::self",
            "graphql::page::int",
            "graphql::instance::Instance",
            "graphql::instance::list::x"
        ]
    );
}
