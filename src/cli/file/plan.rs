//! Decides what is to be done, from three sides: the file, the server, and what both agreed on last.
//!
//! For each field: if the file changed, the server is changed. If the server changed, that is shown and kept. If both
//! changed to something else, that is a conflict, which somebody has to decide. Without an agreement, the file counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::object::{Fields, Object, Section};
use super::server::Application;
use super::state::{Agreed, State};

/// What the command was told.
#[derive(clap::Args, Clone, Default)]
pub struct Options {
    /// Delete what the server has and a section of the file lacks.
    #[arg(long)]
    pub prune: bool,
    /// Also change and delete what somebody has changed in the server since the export.
    #[arg(long)]
    pub overwrite: bool,
    /// Send the secrets of this instance or webhook again. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub send_secrets: Vec<String>,
}

/// What is to be done with one object.
pub enum Act {
    Create,
    Update,
    Delete,
    /// A person has to connect it in the console, at this address.
    Consent(String),
    /// It names an instance that is not there yet.
    Wait(String),
    /// Somebody deleted it in the server.
    Gone,
    /// It cannot be changed.
    Impossible(&'static str),
    /// The server has it, and the file does not. The sentence says why it is kept.
    NotInFile(&'static str),
    Nothing,
}

/// A field with another value in the file than in the server.
pub struct Difference {
    pub field: String,
    pub file: Value,
    pub server: Value,
}

/// An object in the file, in the server, or in both.
pub struct Item {
    pub file: Option<Object>,
    pub server: Option<Object>,
    pub act: Act,
    pub changes: Vec<Difference>,
    /// What was changed in the server, and not in the file.
    pub kept: Vec<Difference>,
    /// What was changed in both.
    pub conflicts: Vec<Difference>,
    pub sends_secrets: bool,
}

impl Item {
    fn object(&self) -> Option<&Object> {
        self.file.as_ref().or(self.server.as_ref())
    }

    pub fn section(&self) -> Section {
        self.object().map_or(Section::Reports, |object| object.section)
    }

    pub fn title(&self) -> String {
        self.object().map(Object::title).unwrap_or_default()
    }

    /// Whether the server has something else than the file.
    pub fn is_open(&self) -> bool {
        !matches!(self.act, Act::Nothing | Act::NotInFile(_)) || !self.kept.is_empty() || !self.conflicts.is_empty()
    }

    /// The fields as they are after the change.
    pub fn merged(&self) -> Fields {
        let mut fields = self.server.as_ref().map(|server| server.fields.clone()).unwrap_or_default();
        match &self.server {
            Some(_) => fields.extend(self.changes.iter().map(|it| (it.field.clone(), it.file.clone()))),
            None => fields.extend(self.file.iter().flat_map(|file| file.fields.clone())),
        }
        fields
    }
}

/// The three sides.
pub struct Sides<'a> {
    pub sections: BTreeSet<Section>,
    pub file: Vec<Object>,
    pub server: Vec<Object>,
    pub base: Option<&'a State>,
    pub catalog: &'a BTreeMap<String, Application>,
    pub console: &'a str,
}

/// Everything, in the order in which it is applied.
pub fn plan(mut sides: Sides<'_>, options: &Options) -> Vec<Item> {
    let mut base: Vec<Object> = sides.base.iter().flat_map(|base| &base.objects).map(Agreed::object).collect();
    let names = names(&sides, &base);
    for object in sides.file.iter_mut().chain(&mut sides.server).chain(&mut base) {
        object.for_instances(|name| {
            if let Some(known) = names.get(&name.to_lowercase()) {
                name.clone_from(known);
            }
        });
    }
    let pairs = pairs(&sides.file, &sides.server, &base);
    let mut server: Vec<_> = sides.server.into_iter().map(Some).collect();
    let mut items = Vec::new();
    for (file, at) in sides.file.into_iter().zip(pairs) {
        let found = at.and_then(|at| server[at].take());
        let agreed = agreed(&base, &file, found.as_ref());
        items.push(match found {
            Some(found) => compare(file, found, agreed, options),
            None => missing(file, agreed, sides.catalog, sides.console, options),
        });
    }
    wait(&mut items, server.iter().flatten());
    let is_managed = |object: &Object| sides.sections.contains(&object.section) && !object.name.is_empty();
    let rest = server.into_iter().flatten().filter(is_managed);
    items.extend(rest.map(|found| left(found, &base, sides.base.is_some(), options)));
    items.sort_by_key(Item::section);
    items
}

/// From each name of an instance, in lower case, to the one that counts: that of the file.
fn names(sides: &Sides<'_>, base: &[Object]) -> BTreeMap<String, String> {
    let instances = |objects: &[Object]| -> Vec<Object> {
        objects.iter().filter(|object| object.section == Section::Instances).cloned().collect()
    };
    let (file, server) = (instances(&sides.file), instances(&sides.server));
    let mut names: BTreeMap<_, _> = server.iter().map(|found| (found.key(), found.name.clone())).collect();
    for (wanted, at) in file.iter().zip(pairs(&file, &server, base)) {
        let mut known = vec![wanted.key()];
        known.extend(at.map(|at| server[at].key()));
        // Of the base, as it may have been renamed since.
        known.extend(
            wanted.was.iter().map(|was| was.to_lowercase()).filter(|was| at.is_none() || !names.contains_key(was)),
        );
        names.extend(known.into_iter().map(|key| (key, wanted.name.clone())));
    }
    names
}

type Way<'a> = &'a dyn Fn(&Object, &Object) -> bool;

/// For each object of the file the one of the server: by its name, by an earlier name, or by the id that it had.
fn pairs(file: &[Object], server: &[Object], base: &[Object]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; file.len()];
    let mut taken = BTreeSet::new();
    let by_name = |object: &Object, found: &Object| object.key() == found.key();
    let by_earlier =
        |object: &Object, found: &Object| object.was.as_ref().is_some_and(|was| object.key_as(was) == found.key());
    let by_id = |object: &Object, found: &Object| {
        let agreed = agreed(base, object, None);
        found.id.is_some() && agreed.is_some_and(|agreed| agreed.id == found.id)
    };
    let by_description = |object: &Object, found: &Object| {
        let same = |field| object.text(field) == found.text(field);
        object.section == Section::Webhooks
            && same("kind")
            && same("description")
            && !object.text("description").is_empty()
    };
    let ways: [Way<'_>; 4] = [&by_name, &by_earlier, &by_id, &by_description];
    for way in ways {
        for (object, pair) in file.iter().zip(&mut pairs).filter(|(_, pair)| pair.is_none()) {
            let fits =
                |at: &usize| server[*at].section == object.section && !taken.contains(at) && way(object, &server[*at]);
            *pair = (0..server.len()).find(fits);
            taken.extend(*pair);
        }
    }
    pairs
}

/// What was agreed on about an object.
fn agreed<'a>(base: &'a [Object], file: &Object, found: Option<&Object>) -> Option<&'a Object> {
    let mut same = base.iter().filter(|agreed| agreed.section == file.section);
    let id = found.and_then(|found| found.id.as_ref());
    let by_id = same.clone().find(|agreed| id.is_some() && agreed.id.as_ref() == id);
    let fits = |agreed: &&Object| {
        agreed.key() == file.key() || file.was.as_ref().is_some_and(|was| agreed.key() == file.key_as(was))
    };
    by_id.or_else(|| same.find(fits))
}

fn item(file: Option<Object>, server: Option<Object>, act: Act) -> Item {
    Item { file, server, act, changes: vec![], kept: vec![], conflicts: vec![], sends_secrets: false }
}

fn is_same(one: &Value, other: &Value) -> bool {
    // A setting without a value is not stored.
    let is_empty = |value: &Value| value.is_null() || *value == json!("");
    one == other || (is_empty(one) && is_empty(other))
}

fn compare(file: Object, found: Object, agreed: Option<&Object>, options: &Options) -> Item {
    let (mut changes, mut kept, mut conflicts) = (vec![], vec![], vec![]);
    for (field, value) in &file.fields {
        let server = found.fields.get(field).cloned().unwrap_or_default();
        if is_same(value, &server) {
            continue;
        }
        let place = match agreed.and_then(|agreed| agreed.fields.get(field)) {
            _ if options.overwrite => &mut changes,
            Some(before) if is_same(before, value) => &mut kept,
            Some(before) if !is_same(before, &server) => &mut conflicts,
            Some(_) | None => &mut changes,
        };
        place.push(Difference { field: field.clone(), file: value.clone(), server });
    }
    let is_asked = options.send_secrets.iter().any(|name| name.to_lowercase() == file.name.to_lowercase());
    let moves = changes.iter().any(|change| change.field.starts_with("settings."));
    let sends_secrets = !file.secrets.is_empty() && (is_asked || moves);
    let act = match changes.iter().find(|change| matches!(&*change.field, "application" | "kind")) {
        Some(_) => Act::Impossible("its application or kind cannot be changed: give the new one another name"),
        None if changes.is_empty() && !sends_secrets => Act::Nothing,
        None => Act::Update,
    };
    Item { changes, kept, conflicts, sends_secrets, ..item(Some(file), Some(found), act) }
}

fn missing(
    file: Object,
    agreed: Option<&Object>,
    catalog: &BTreeMap<String, Application>,
    console: &str,
    options: &Options,
) -> Item {
    let application = file.text("application").to_owned();
    let chosen = file.fields.get("settings.authentication").and_then(Value::as_str);
    let consents = catalog.get(&application).is_some_and(|found| found.needs_consent(chosen));
    let act = if agreed.is_some() && !options.overwrite {
        Act::Gone
    } else if consents {
        Act::Consent(format!("{console}integrations/{application}/connect"))
    } else {
        Act::Create
    };
    Item { sends_secrets: true, ..item(Some(file), None, act) }
}

/// An object that the file lacks.
fn left(found: Object, base: &[Object], has_base: bool, options: &Options) -> Item {
    let agreed = agreed(base, &found, Some(&found));
    let is_new = has_base && agreed.is_none();
    let is_changed = agreed.is_some_and(|agreed| {
        agreed.fields.iter().any(|(field, value)| !is_same(value, found.fields.get(field).unwrap_or(&Value::Null)))
    });
    let act = match (is_new, is_changed) {
        _ if options.prune && (options.overwrite || !(is_new || is_changed)) => Act::Delete,
        (true, _) => Act::NotInFile("it was made in the server since the export"),
        (_, true) => Act::NotInFile("it was changed in the server since the export"),
        (false, false) => Act::NotInFile("--prune deletes it"),
    };
    item(None, Some(found), act)
}

/// What names an instance that will not be there has to wait for it.
fn wait<'a>(items: &mut [Item], others: impl Iterator<Item = &'a Object>) {
    let mut there: BTreeSet<String> =
        others.filter(|other| other.section == Section::Instances).map(Object::key).collect();
    for item in &*items {
        let is_there = item.server.is_some() || matches!(item.act, Act::Create);
        there.extend(item.file.iter().filter(|file| file.section == Section::Instances && is_there).map(Object::key));
    }
    for item in items.iter_mut().filter(|item| matches!(item.act, Act::Create | Act::Update)) {
        let named = item.file.as_ref().map(Object::instances).unwrap_or_default();
        if let Some(absent) = named.into_iter().find(|name| !there.contains(&name.to_lowercase())) {
            item.act = Act::Wait(absent);
        }
    }
}
