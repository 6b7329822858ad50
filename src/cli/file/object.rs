//! Everything that is compared, in one form: a name and fields.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::{Contract, Document, Instance, Line, Price, Webhook};
use super::reference::{Address, Reference};
use crate::directory::keys::match_key;

/// The parts of the file, in the order in which they are applied: what others name comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    Instances,
    Recipients,
    Webhooks,
    Prices,
    Contracts,
    People,
    Reports,
}

impl Section {
    pub const ALL: [Self; 7] =
        [Self::Instances, Self::Recipients, Self::Webhooks, Self::Prices, Self::Contracts, Self::People, Self::Reports];

    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Recipients => "recipients",
            Self::Webhooks => "webhooks",
            Self::Prices => "prices",
            Self::Contracts => "contracts",
            Self::People => "people",
            Self::Reports => "reports",
        }
    }

    /// What one of its objects is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Instances => "instance",
            Self::Recipients => "section recipients",
            Self::Webhooks => "webhook",
            Self::Prices => "price",
            Self::Contracts => "contract",
            Self::People => "section people",
            Self::Reports => "section reports",
        }
    }
}

pub type Fields = BTreeMap<String, Value>;

#[derive(Clone)]
pub struct Object {
    pub section: Section,
    /// Empty if there is only one of its section.
    pub name: String,
    pub was: Option<String>,
    /// The line of the file; 0 if it is not from a file.
    pub line: u64,
    /// What is compared. A field that is not here is left alone.
    pub fields: Fields,
    /// What is sent, and never compared.
    pub secrets: BTreeMap<String, Reference>,
    pub secret_to: Option<Reference>,
    pub id: Option<String>,
    pub revision: Option<i64>,
}

impl Object {
    fn new(section: Section, name: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields.into_iter().collect(),
            _ => Fields::new(),
        };
        let (was, secret_to, id, revision) = (None, None, None, None);
        Self { section, name: name.to_owned(), was, line: 0, fields, secrets: BTreeMap::new(), secret_to, id, revision }
    }

    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// What identifies it within its section.
    pub fn key(&self) -> String {
        self.key_as(&self.name)
    }

    /// What would identify it with another name.
    pub fn key_as(&self, name: &str) -> String {
        match self.section {
            Section::Prices => format!("{}\n{}", self.text("instance").to_lowercase(), self.text("license")),
            Section::Contracts => format!("{}\n{}", self.text("instance").to_lowercase(), name.to_lowercase()),
            _ => name.to_lowercase(),
        }
    }

    /// How a person finds it.
    pub fn title(&self) -> String {
        let noun = self.section.noun();
        match self.section {
            Section::Prices => format!("{noun} of “{}” in “{}”", self.text("license"), self.text("instance")),
            Section::Contracts => format!("{noun} “{}” of “{}”", self.name, self.text("instance")),
            _ if self.name.is_empty() => noun.to_owned(),
            _ => format!("{noun} “{}”", self.name),
        }
    }

    /// Passes every name of an instance in its fields.
    pub fn for_instances(&mut self, mut pass: impl FnMut(&mut String)) {
        if self.section == Section::Instances {
            return;
        }
        for field in ["instance", "instances", "sources", "sign_in_enforced_by"] {
            if let Some(value) = self.fields.get_mut(field) {
                names_in(value, &mut pass);
            }
        }
        self.put_in_order();
    }

    /// The instances that it names.
    pub fn instances(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.clone().for_instances(|name| found.extend([name.clone()]));
        found
    }

    /// Spells words as the server does.
    fn spell(&mut self) {
        let mut change = |field: &str, spelled: fn(&str) -> String| match self.fields.get_mut(field) {
            Some(Value::String(text)) => *text = spelled(text),
            Some(Value::Array(list)) => {
                for text in list.iter_mut() {
                    match text {
                        Value::String(text) => *text = spelled(text),
                        Value::Object(pair) => pair.values_mut().for_each(|text| {
                            if let Value::String(text) = text {
                                *text = spelled(text);
                            }
                        }),
                        _ => {}
                    }
                }
            }
            _ => {}
        };
        change("currency", |text| text.trim().to_uppercase());
        change("emails", |text| text.trim().to_owned());
        for field in ["causes", "account_changes", "disabled_findings"] {
            change(field, |text| text.trim().to_lowercase());
        }
        for field in ["owned_domains", "equivalent_domains"] {
            change(field, domain);
        }
    }

    /// Lists whose order means nothing are compared in one order.
    fn put_in_order(&mut self) {
        let lists = ["instances", "applications", "causes", "account_changes", "sources", "owned_domains"];
        for field in lists.iter().chain(&["equivalent_domains", "disabled_findings", "sign_in_enforced_by"]) {
            if let Some(Value::Array(list)) = self.fields.get_mut(*field) {
                list.sort_by_cached_key(Value::to_string);
                list.dedup();
            }
        }
    }
}

fn names_in(value: &mut Value, pass: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(name) => pass(name),
        Value::Array(list) => list.iter_mut().for_each(|entry| names_in(entry, pass)),
        Value::Object(entry) => {
            for key in ["instance", "provider"] {
                if let Some(Value::String(name)) = entry.get_mut(key) {
                    pass(name);
                }
            }
        }
        _ => {}
    }
}

/// The sections that a document has.
pub fn sections(document: &Document) -> BTreeSet<Section> {
    let has = |section: &Section| match section {
        Section::Instances => document.instances.is_some(),
        Section::Recipients => document.recipients.is_some(),
        Section::Webhooks => document.webhooks.is_some(),
        Section::Prices => document.prices.is_some(),
        Section::Contracts => document.contracts.is_some(),
        Section::People => document.people.is_some(),
        Section::Reports => document.reports.is_some(),
    };
    Section::ALL.into_iter().filter(has).collect()
}

/// Everything in a document, in the order in which it is applied.
pub fn objects(document: &Document) -> Vec<Object> {
    let mut found: Vec<_> = document.instances.iter().flatten().map(instance).collect();
    if let Some(emails) = &document.recipients {
        found.push(Object::new(Section::Recipients, "", json!({ "emails": emails })));
    }
    found.extend(document.webhooks.iter().flatten().map(webhook));
    found.extend(document.prices.iter().flatten().map(price));
    found.extend(document.contracts.iter().flatten().map(contract));
    let settings = [(Section::People, json!(document.people)), (Section::Reports, json!(document.reports))];
    found.extend(
        settings.into_iter().filter(|(_, value)| !value.is_null()).map(|(part, value)| Object::new(part, "", value)),
    );
    for object in &mut found {
        object.spell();
        object.put_in_order();
    }
    found
}

/// A domain as the server stores it.
fn domain(name: &str) -> String {
    let name = name.trim();
    let key = match_key(&format!("x@{name}"));
    key.as_deref().and_then(|key| key.strip_prefix("x@")).unwrap_or(name).to_owned()
}

fn instance(from: &Instance) -> Object {
    let fields = json!({
        "name": from.name.value,
        "application": from.application,
        "active": from.active.unwrap_or(true),
        "sync_interval_minutes": from.sync_interval_minutes.unwrap_or(60),
    });
    let mut object = Object::new(Section::Instances, &from.name.value, fields);
    object.fields.extend(from.settings.iter().map(|(key, value)| (format!("settings.{key}"), json!(value))));
    object.secrets.clone_from(&from.secrets);
    object.was.clone_from(&from.was);
    object.line = from.name.referenced.line();
    (object.id, object.revision) = (from.origin.id.clone(), from.origin.revision);
    object
}

fn webhook(from: &Webhook) -> Object {
    let fields = json!({
        "kind": from.kind,
        "description": from.description.as_ref().unwrap_or(&from.name.value),
        "enabled": from.enabled.unwrap_or(true),
        "causes": from.causes,
        "only_changes": from.only_changes.unwrap_or(true),
        "account_changes": from.account_changes,
        "finding_changes": from.finding_changes.unwrap_or(false),
        "applications": from.applications,
        "instances": from.instances,
    });
    let mut object = Object::new(Section::Webhooks, &from.name.value, fields);
    match &from.url {
        Some(Address::Plain(url)) => drop(object.fields.insert("url".to_owned(), json!(url))),
        Some(Address::Secret(place)) => drop(object.secrets.insert("url".to_owned(), place.clone())),
        None => {}
    }
    object.secrets.extend(from.key.clone().map(|place| ("key".to_owned(), place)));
    object.secret_to.clone_from(&from.secret_to);
    object.was.clone_from(&from.was);
    object.line = from.name.referenced.line();
    (object.id, object.revision) = (from.origin.id.clone(), from.origin.revision);
    object
}

/// An amount without the zeros that mean nothing.
fn amount(text: Option<&String>) -> Value {
    let Some(text) = text else { return Value::Null };
    let whole = text.trim_start_matches('0');
    let whole = if whole.is_empty() || whole.starts_with('.') { format!("0{whole}") } else { whole.to_owned() };
    // What is no amount is said to be none.
    let whole = if text.starts_with('.') { text.clone() } else { whole };
    json!(if whole.contains('.') { whole.trim_end_matches('0').trim_end_matches('.') } else { &whole })
}

fn price(from: &Price) -> Object {
    let fields = json!({
        "instance": from.instance.value,
        "license": from.license,
        "unit_price": amount(from.unit_price.as_ref()),
        "total_price": amount(from.total_price.as_ref()),
        "seats": from.seats,
        "currency": from.currency,
        "billing_months": from.billing_months.unwrap_or(12),
    });
    let mut object = Object::new(Section::Prices, &from.license, fields);
    object.line = from.instance.referenced.line();
    object
}

fn contract(from: &Contract) -> Object {
    let line = |line: &Line| {
        json!({
            "license": line.license,
            "seats": line.seats,
            "unit_price": amount(line.unit_price.as_ref()),
            "total_price": amount(line.total_price.as_ref()),
        })
    };
    let fields = json!({
        "name": from.name.value,
        "instance": from.instance,
        "starts_on": from.starts_on,
        "ends_on": from.ends_on,
        "notice_days": from.notice_days.unwrap_or(0),
        "currency": from.currency,
        "billing_months": from.billing_months.unwrap_or(12),
        "lines": from.lines.iter().map(line).collect::<Vec<_>>(),
    });
    let mut object = Object::new(Section::Contracts, &from.name.value, fields);
    object.was.clone_from(&from.was);
    object.line = from.name.referenced.line();
    (object.id, object.revision) = (from.origin.id.clone(), from.origin.revision);
    object
}
