//! The layers: which modules may use which others. See also [`crate::rules`].

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

const DOORS: [&str; 6] = ["app", "cli", "console", "graphql", "jobs", "server"];
const NOUNS: [&str; 9] =
    ["directory", "findings", "instance", "notification", "oidc", "people", "spend", "sync", "webhook"];
/// A separate crate in a folder of `src`, below all other layers.
const INTEGRATION: &str = "integration";
const TOOLS: [&str; 16] = [
    "audit",
    "auth",
    "backoff",
    "clock",
    "config",
    "db",
    "encoding",
    "error",
    "events",
    "files",
    "installation",
    "mail",
    "queue",
    "secrets",
    "spelling",
    "telemetry",
];

/// Modules that may use nouns, tools and every table.
const OVERSEERS: [&str; 2] = ["doctor", "maintenance"];

/// The modules besides tools that a noun may use.
fn known_by(noun: &str) -> &'static [&'static str] {
    match noun {
        "sync" => &["instance", INTEGRATION, "directory", "notification"],
        "instance" => &[INTEGRATION, "directory", "notification"],
        "oidc" => &[INTEGRATION],
        "people" => &["instance", "directory"],
        "spend" => &["instance", INTEGRATION, "directory", "notification"],
        "findings" => &["instance", INTEGRATION, "directory", "notification"],
        "webhook" => &["instance", INTEGRATION, "notification"],
        _ => &[],
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, without the files of Git and build results.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(".git") {
            continue;
        }
        if path.is_dir() {
            if name != "target" && name != "__pycache__" {
                found.extend(files(&path));
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The path from the root of the repository.
pub fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The first name of a path, or the first name of each path of a group.
fn heads(path: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut start, mut found) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            found.push(name(&group[start..at]));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The uses of one top-level module by another, with the line of each.
fn edges() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for path in files(&root().join("src")) {
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let from = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        if from == "lib" || from == "main" || from == INTEGRATION {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code: String =
            text.lines().filter_map(|line| line.split("//").next()).flat_map(|line| [line, "\n"]).collect();
        let place = |before: &str| format!("{}:{}", short(&path), before.matches('\n').count() + 1);
        for (before, after) in code.match_indices("crate::").map(|(at, found)| code.split_at(at + found.len())) {
            found.extend(heads(after).into_iter().map(|to| (from.clone(), to, place(before))));
        }
        for (before, _) in code.match_indices("integration::").map(|(at, _)| code.split_at(at)) {
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                found.push((from.clone(), INTEGRATION.to_owned(), place(before)));
            }
        }
    }
    assert!(found.len() > 100, "the scan finds next to nothing");
    found
}

#[test]
fn every_part_of_the_source_has_its_layer() {
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let layers = [&DOORS[..], &NOUNS, &TOOLS, &OVERSEERS].concat();
        assert!(
            layers.contains(&&*name) || name == "lib" || name == "main" || name == INTEGRATION,
            "{name} is neither door, noun, tool nor overseer"
        );
    }
}

#[test]
fn tools_know_tools_nouns_know_what_they_are_made_of_and_only_doors_know_doors() {
    let mut wrong = Vec::new();
    for (from, to, at) in edges() {
        let allowed = match from.as_str() {
            tool if TOOLS.contains(&tool) => TOOLS.contains(&&*to),
            noun if NOUNS.contains(&noun) => TOOLS.contains(&&*to) || to == noun || known_by(noun).contains(&&*to),
            _ => true,
        };
        if !allowed {
            wrong.push(format!("{at}: {from} uses {to}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_integration_crate_knows_neither_the_database_nor_the_server() {
    let manifest = fs::read_to_string(root().join("src/integration/Cargo.toml")).unwrap();
    for crate_above in ["entity", "migration", "muster", "sea-orm"] {
        assert!(!manifest.contains(crate_above), "integration depends on {crate_above}");
    }
}

#[test]
fn the_overseers_stand_below_the_doors_and_nobody_leans_on_the_doctor() {
    for (from, to, at) in edges() {
        if OVERSEERS.contains(&&*from) {
            assert!(!DOORS.contains(&&*to), "{at}: {from} uses {to}");
        }
        assert!(to != "doctor" || from == "doctor" || from == "cli", "{at}: {from} uses doctor");
    }
}

#[test]
fn of_the_nouns_only_notifications_know_mail() {
    let users: Vec<_> = edges().into_iter().filter(|(from, to, _)| to == "mail" && from != "mail").collect();
    for (from, _, at) in users {
        assert!(["auth", "notification", "app", "cli", "jobs"].contains(&from.as_str()), "{at}: {from} uses mail");
    }
}

#[test]
fn the_server_is_put_together_in_one_place() {
    for (from, to, at) in edges() {
        assert!(to != "app" || from == "app" || from == "cli", "{at}: {from} uses app");
    }
}
