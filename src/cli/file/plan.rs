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

/// Everything, in the order in which it is applied, and what was agreed on, with the names that instances have now.
pub fn plan(mut sides: Sides<'_>, options: &Options) -> (Vec<Item>, Vec<Object>) {
    let mut base: Vec<Object> = sides.base.iter().flat_map(|base| &base.objects).map(Agreed::object).collect();
    let names = names(&sides, &base);
    for object in sides.file.iter_mut().chain(&mut sides.server).chain(&mut base) {
        object.for_instances(|name| {
            if let Some(known) = names.get(&name.to_lowercase()) {
                name.clone_from(known);
            }
        });
    }
    let known = Known::of(&base);
    let pairs = pairs(&sides.file, &sides.server, &known);
    let named: BTreeSet<String> =
        sides.file.iter().flat_map(Object::instances).map(|name| name.to_lowercase()).collect();
    let mut server: Vec<_> = sides.server.into_iter().map(Some).collect();
    let mut items = Vec::new();
    for (file, at) in sides.file.into_iter().zip(pairs) {
        let found = at.and_then(|at| server[at].take());
        let agreed = known.get(&file, found.as_ref());
        items.push(match found {
            Some(found) => compare(file, found, agreed, options),
            None => missing(file, agreed, sides.catalog, sides.console, options),
        });
    }
    wait(&mut items, server.iter().flatten());
    let is_managed = |object: &Object| sides.sections.contains(&object.section) && !object.name.is_empty();
    let rest = server.into_iter().flatten().filter(is_managed);
    items.extend(rest.map(|found| left(found, &known, sides.base.is_some(), options)));
    for item in &mut items {
        let is_named = |found: &Object| found.section == Section::Instances && named.contains(&found.key());
        if matches!(item.act, Act::Delete) && item.server.as_ref().is_some_and(is_named) {
            item.act = Act::NotInFile("another section of the file names it");
        }
    }
    items.sort_by_key(Item::section);
    drop(known);
    (items, base)
}

/// From each name of an instance, in lower case, to the one that counts: that of the file.
fn names(sides: &Sides<'_>, base: &[Object]) -> BTreeMap<String, String> {
    let instances = |objects: &[Object]| -> Vec<Object> {
        objects.iter().filter(|object| object.section == Section::Instances).cloned().collect()
    };
    let (file, server) = (instances(&sides.file), instances(&sides.server));
    let mut names: BTreeMap<_, _> = server.iter().map(|found| (found.key(), found.name.clone())).collect();
    for (wanted, at) in file.iter().zip(pairs(&file, &server, &Known::of(base))) {
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

type Way<'a> = &'a dyn Fn(&Object) -> Option<usize>;

/// For each object of the file the one of the server: by its name, by an earlier name, or by the id that it had.
fn pairs(file: &[Object], server: &[Object], base: &Known<'_>) -> Vec<Option<usize>> {
    let places = |key: &dyn Fn(&Object) -> Option<String>| -> BTreeMap<(Section, String), usize> {
        let keyed = server.iter().enumerate().filter_map(|(at, found)| Some(((found.section, key(found)?), at)));
        keyed.rev().collect()
    };
    let description = |object: &Object| {
        let text = object.text("description");
        let is_known = object.section == Section::Webhooks && !text.is_empty();
        is_known.then(|| format!("{}\n{text}", object.text("kind")))
    };
    let by_key = places(&|found| Some(found.key()));
    let by_id = places(&|found| found.id.clone());
    let by_description = places(&description);
    let at = |places: &BTreeMap<_, usize>, section, key: Option<String>| places.get(&(section, key?)).copied();
    let ways: [Way<'_>; 4] = [
        &|object| at(&by_key, object.section, Some(object.key())),
        &|object| at(&by_key, object.section, object.was.as_ref().map(|was| object.key_as(was))),
        &|object| at(&by_id, object.section, base.get(object, None)?.id.clone()),
        &|object| at(&by_description, object.section, description(object)),
    ];
    let mut pairs = vec![None; file.len()];
    let mut taken = BTreeSet::new();
    for way in ways {
        for (object, pair) in file.iter().zip(&mut pairs).filter(|(_, pair)| pair.is_none()) {
            *pair = way(object).filter(|at| taken.insert(*at));
        }
    }
    pairs
}

/// What was agreed on, by ids and by names.
pub struct Known<'a> {
    by_id: BTreeMap<&'a str, &'a Object>,
    by_key: BTreeMap<(Section, String), &'a Object>,
}

impl<'a> Known<'a> {
    pub fn of(base: &'a [Object]) -> Self {
        Self {
            by_id: base.iter().filter_map(|agreed| Some((agreed.id.as_deref()?, agreed))).collect(),
            by_key: base.iter().map(|agreed| ((agreed.section, agreed.key()), agreed)).collect(),
        }
    }

    /// What was agreed on about an object of the file, which may be this one of the server.
    pub fn get(&self, file: &Object, found: Option<&Object>) -> Option<&'a Object> {
        let by_key = |key: String| self.by_key.get(&(file.section, key)).copied();
        let by_id = found.and_then(|found| self.by_id.get(found.id.as_deref()?).copied());
        by_id.or_else(|| by_key(file.key())).or_else(|| by_key(file.key_as(file.was.as_ref()?)))
    }
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
        // What was agreed on has all fields that had a value.
        let place = match agreed.map(|agreed| agreed.fields.get(field).unwrap_or(&Value::Null)) {
            _ if options.overwrite => &mut changes,
            Some(before) if is_same(before, value) => &mut kept,
            Some(before) if !is_same(before, &server) => &mut conflicts,
            Some(_) | None => &mut changes,
        };
        place.push(Difference { field: field.clone(), file: value.clone(), server });
    }
    let is_asked = options.send_secrets.iter().any(|name| name.to_lowercase() == file.name.to_lowercase());
    let moves = changes.iter().any(|change| change.field.starts_with("settings."));
    // An address that was no secret until now.
    let hides = file.secrets.contains_key("url") && agreed.is_none_or(|agreed| agreed.fields.contains_key("url"));
    let sends_secrets = !file.secrets.is_empty() && (is_asked || moves || (hides && found.fields.contains_key("url")));
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
fn left(found: Object, base: &Known<'_>, has_base: bool, options: &Options) -> Item {
    // One with the same name and another id was made since.
    let agreed = base.get(&found, Some(&found)).filter(|agreed| found.id.is_none() || agreed.id == found.id);
    let is_new = has_base && agreed.is_none();
    let is_changed = agreed.is_some_and(|agreed| {
        let value = |fields: &Fields, field: &String| fields.get(field).cloned().unwrap_or_default();
        let mut fields = agreed.fields.keys().chain(found.fields.keys());
        fields.any(|field| !is_same(&value(&agreed.fields, field), &value(&found.fields, field)))
    });
    let act = match (is_new, is_changed) {
        _ if options.prune && (options.overwrite || !(is_new || is_changed)) => Act::Delete,
        (true, _) => Act::NotInFile("it was made in the server since the last export or apply"),
        (_, true) => Act::NotInFile("it was changed in the server since the last export or apply"),
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
