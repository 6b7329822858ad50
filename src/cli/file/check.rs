//! What is wrong with a file, said before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use integration::manifest::yaml::{self, Limits};
use serde_json::Value;

use super::document::Document;
use super::object::{Object, Section, objects};
use super::reference::Reference;
use super::server::Application;
use crate::cli::output::harmless;

/// How large a file may be.
const LIMITS: Limits = Limits { bytes: 8 * 1024 * 1024, nodes: 500_000 };

/// Reads a file, without looking at a server.
pub fn read(path: &Path) -> Result<(Document, Vec<Object>), String> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    // An empty file has no section.
    let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let document = if is_empty {
        Document::default()
    } else {
        yaml::read(&text, &shown, LIMITS).map_err(|fault| fault.to_string())?
    };
    let objects = objects(&document);
    let mut faults: Vec<_> = doubles(&objects);
    faults.extend(objects.iter().flat_map(words));
    faults.extend(objects.iter().filter(|object| object.section == Section::Webhooks).filter_map(webhook));
    faults.extend(
        objects.iter().filter(|object| is_nameless(object)).map(|object| (object.line, "the name is empty".to_owned())),
    );
    said(faults, path).map(|()| (document, objects))
}

/// What is wrong with the words of an object, that no server has to be asked for.
fn words(object: &Object) -> Vec<(u64, String)> {
    let title = object.title();
    let mut faults = Vec::new();
    let mut fault = |what: &str| faults.push((object.line, format!("{title}: {what}")));
    for name in [Some(&object.name), object.was.as_ref()].into_iter().flatten() {
        if name.trim() != name {
            fault("a name begins or ends with a space");
        }
        if harmless(name) != *name || name.contains(['\n', '\t']) {
            fault("a name has a character that is not printed");
        }
    }
    for field in ["starts_on", "ends_on"] {
        let text = object.text(field);
        let is_date = text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
        if object.fields.get(field).is_some_and(Value::is_string) && !is_date {
            fault(&format!("{field}: write a date, such as 2026-01-31"));
        }
    }
    let lines = object.fields.get("lines").and_then(Value::as_array).into_iter().flatten();
    let own = ["unit_price", "total_price"].map(|field| object.fields.get(field));
    let of_lines = lines.flat_map(|line| [line.get("unit_price"), line.get("total_price")]);
    for amount in own.into_iter().chain(of_lines).flatten().filter_map(Value::as_str) {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_amount = match amount.split_once('.') {
            Some((whole, part)) => digits(whole) && digits(part),
            None => digits(amount),
        };
        if !is_amount {
            fault(&format!("“{amount}” is no amount: write it as 1250.50"));
        }
    }
    faults
}

fn is_nameless(object: &Object) -> bool {
    object.name.trim().is_empty() && !matches!(object.section, Section::Recipients | Section::People | Section::Reports)
}

/// What the server does not know.
pub fn against(
    objects: &[Object],
    server: &[Object],
    catalog: &BTreeMap<String, Application>,
    path: &Path,
) -> Result<(), String> {
    let instances = |object: &&Object| object.section == Section::Instances;
    let mut names: BTreeSet<String> = objects.iter().chain(server).filter(instances).map(Object::key).collect();
    names.extend(objects.iter().filter(instances).filter_map(|object| Some(object.was.as_ref()?.to_lowercase())));
    let mut faults = Vec::new();
    for object in objects {
        if object.section == Section::Instances {
            faults.extend(settings(object, catalog).into_iter().map(|fault| (object.line, fault)));
        }
        for name in object.instances() {
            if !names.contains(&name.to_lowercase()) {
                let fault = format!("{}: there is no instance “{name}”, in the file or in the server", object.title());
                faults.push((object.line, fault));
            }
        }
    }
    said(faults, path)
}

fn settings(object: &Object, catalog: &BTreeMap<String, Application>) -> Vec<String> {
    let (title, application) = (object.title(), object.text("application"));
    let Some(known) = catalog.get(application) else {
        return vec![format!("{title}: the server has no application “{application}”")];
    };
    let mut faults = Vec::new();
    for key in object.fields.keys().filter_map(|field| field.strip_prefix("settings.")) {
        match known.settings.get(key) {
            Some(false) => {}
            Some(true) => {
                faults.push(format!("{title}: “{key}” is a secret: write it under secrets, as env:NAME or file:PATH"));
            }
            None => faults.push(format!("{title}: {application} has no setting “{key}”")),
        }
    }
    for key in object.secrets.keys().filter(|key| known.settings.get(*key) != Some(&true)) {
        faults.push(format!("{title}: {application} has no secret “{key}”"));
    }
    faults
}

fn doubles(objects: &[Object]) -> Vec<(u64, String)> {
    let mut seen = BTreeMap::new();
    let mut faults = Vec::new();
    for object in objects {
        if let Some(first) = seen.insert((object.section, object.key()), object.line) {
            faults.push((object.line, format!("{}: line {first} has the same name", object.title())));
        }
    }
    let mut renamed = BTreeSet::new();
    for object in objects {
        let Some(was) = &object.was else { continue };
        if !renamed.insert((object.section, object.key_as(was))) {
            faults.push((object.line, format!("{}: was: “{was}” is written twice", object.title())));
        }
        if object.key() != object.key_as(was) && seen.contains_key(&(object.section, object.key_as(was))) {
            faults.push((
                object.line,
                format!("{}: was: “{was}” is the name of another one in this file", object.title()),
            ));
        }
    }
    faults
}

fn webhook(object: &Object) -> Option<(u64, String)> {
    let (title, kind) = (object.title(), object.text("kind"));
    let is_shown = object.fields.contains_key("url");
    let fault = if is_shown && kind != "standard" {
        format!("{title}: the address of {kind} is a secret: write url: env:NAME or url: file:PATH")
    } else if kind == "standard" && !is_shown && !object.secrets.contains_key("url") {
        format!("{title}: the key “url” is missing here")
    } else if object.secret_to.is_some() && kind != "standard" {
        format!("{title}: {kind} has no secret that Muster makes: leave out secret_to")
    } else if matches!(object.secret_to, Some(Reference::Env(_))) {
        format!("{title}: secret_to is a file: write secret_to: file:PATH")
    } else {
        return None;
    };
    Some((object.line, fault))
}

fn said(mut faults: Vec<(u64, String)>, path: &Path) -> Result<(), String> {
    faults.sort();
    let line = |(line, fault): (u64, String)| match line {
        0 => format!("{}: {fault}", path.display()),
        _ => format!("{}:{line}: {fault}", path.display()),
    };
    let lines: Vec<_> = faults.into_iter().map(line).collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.join("\nmuster: ")) }
}
