//! The mutation of each change.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::object::{Fields, Object, Section};
use super::plan::{Act, Item};
use super::reference::Secrets;

/// A mutation.
pub struct Call {
    pub name: &'static str,
    pub input: Value,
    pub fields: &'static str,
}

/// The ids of the instances by their names in lower case.
pub type Ids = BTreeMap<String, String>;

/// The mutations of an item, in their order.
pub fn calls(item: &Item, ids: &Ids, secrets: &Secrets) -> Vec<Call> {
    let fields = item.merged();
    match (&item.act, &item.file, &item.server) {
        (Act::Delete, _, Some(server)) => vec![deletion(server, ids)],
        (Act::Create, Some(file), _) => match file.section {
            Section::Instances => vec![new_instance(file, secrets)],
            Section::Webhooks => vec![new_webhook(file, ids, secrets)],
            _ => whole(item, &fields, ids),
        },
        (Act::Update, Some(file), Some(server)) => match file.section {
            Section::Instances => vec![changed_instance(item, file, server, secrets)],
            Section::Webhooks => vec![changed_webhook(item, file, server, ids, secrets)],
            _ => whole(item, &fields, ids),
        },
        _ => vec![],
    }
}

fn call(name: &'static str, input: Value, fields: &'static str) -> Call {
    Call { name, input, fields }
}

fn id_of(ids: &Ids, name: &Value) -> Value {
    json!(name.as_str().and_then(|name| ids.get(&name.to_lowercase())))
}

fn upper(value: &Value) -> Value {
    match value {
        Value::String(word) => json!(word.to_uppercase()),
        Value::Array(list) => list.iter().map(upper).collect(),
        other => other.clone(),
    }
}

/// Without the keys that have no value.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into(),
        other => other,
    }
}

fn deletion(server: &Object, ids: &Ids) -> Call {
    match server.section {
        Section::Instances => {
            call("deleteInstance", json!({ "id": server.id, "acknowledgeIrreversible": true }), "instance { id }")
        }
        Section::Webhooks => call("deleteWebhook", json!({ "id": server.id }), "id"),
        Section::Contracts => call("deleteContract", json!({ "id": server.id }), "id"),
        Section::Prices | Section::Recipients | Section::People | Section::Reports => {
            let instance = id_of(ids, &json!(server.text("instance")));
            call("setPrice", json!({ "instanceId": instance, "license": server.text("license") }), "__typename")
        }
    }
}

fn config<'a>(
    settings: impl Iterator<Item = (&'a str, Value)>,
    file: &Object,
    secrets: Option<&Secrets>,
) -> Vec<Value> {
    let mut config: Vec<_> = settings.map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let sent =
        secrets.into_iter().flat_map(|secrets| file.secrets.iter().map(move |(key, place)| (key, secrets.get(place))));
    config.extend(sent.map(|(key, value)| json!({ "key": key, "value": value })));
    config
}

fn new_instance(file: &Object, secrets: &Secrets) -> Call {
    let settings =
        file.fields.iter().filter_map(|(field, value)| Some((field.strip_prefix("settings.")?, value.clone())));
    let input = json!({
        "integrationKey": file.text("application"),
        "name": file.name,
        "syncIntervalMinutes": file.fields.get("sync_interval_minutes"),
        "config": config(settings, file, Some(secrets)),
    });
    call("createInstance", input, "instance { id }")
}

/// Switches an instance off that was just created.
pub fn switched_off(id: &str) -> Call {
    call("updateInstance", json!({ "id": id, "status": "INACTIVE" }), "instance { id }")
}

fn changed_instance(item: &Item, file: &Object, server: &Object, secrets: &Secrets) -> Call {
    let mut input = json!({ "id": server.id, "expectedRevision": server.revision });
    for change in &item.changes {
        match &*change.field {
            "name" => input["name"] = change.file.clone(),
            "active" => input["status"] = json!(if change.file == json!(true) { "LIVE" } else { "INACTIVE" }),
            "sync_interval_minutes" => input["syncIntervalMinutes"] = change.file.clone(),
            _ => {}
        }
    }
    let settings =
        item.changes.iter().filter_map(|change| Some((change.field.strip_prefix("settings.")?, change.file.clone())));
    let config = config(settings, file, item.sends_secrets.then_some(secrets));
    if !config.is_empty() {
        input["config"] = json!(config);
    }
    call("updateInstance", input, "instance { id }")
}

fn scope(fields: &Fields, ids: &Ids) -> Value {
    let list = |field: &str| fields.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let (applications, instances) = (list("applications"), list("instances"));
    if applications.is_empty() && instances.is_empty() {
        return Value::Null;
    }
    let instances: Vec<_> = instances.iter().map(|name| id_of(ids, name)).collect();
    json!({ "integrationKeys": applications, "instanceIds": instances })
}

/// The spelling of the API for a field of a webhook.
fn webhook_field(field: &str, value: &Value) -> Option<(&'static str, Value)> {
    Some(match field {
        "kind" => ("kind", upper(value)),
        "description" => ("description", value.clone()),
        "url" => ("url", value.clone()),
        "causes" => ("causes", upper(value)),
        "only_changes" => ("onlyChanges", value.clone()),
        "account_changes" => ("accountChanges", upper(value)),
        "finding_changes" => ("findingChanges", value.clone()),
        "enabled" => ("enabled", value.clone()),
        _ => return None,
    })
}

fn put_secrets(input: &mut Value, file: &Object, secrets: &Secrets) {
    for (key, place) in &file.secrets {
        input[key] = json!(secrets.get(place));
    }
}

fn new_webhook(file: &Object, ids: &Ids, secrets: &Secrets) -> Call {
    let fields = file.fields.iter().filter(|(field, _)| *field != "enabled");
    let fields = fields.filter_map(|(field, value)| webhook_field(field, value));
    let mut input = without_nulls(fields.map(|(field, value)| (field.to_owned(), value)).collect::<Map<_, _>>().into());
    let scope = scope(&file.fields, ids);
    if !scope.is_null() {
        input["scope"] = scope;
    }
    put_secrets(&mut input, file, secrets);
    call("createWebhook", input, "secret webhook { id }")
}

/// Switches a webhook off that was just created.
pub fn webhook_off(id: &str) -> Call {
    call("updateWebhook", json!({ "id": id, "enabled": false }), "webhook { id }")
}

fn changed_webhook(item: &Item, file: &Object, server: &Object, ids: &Ids, secrets: &Secrets) -> Call {
    let mut input = json!({ "id": server.id, "expectedRevision": server.revision });
    for (field, value) in item.changes.iter().filter_map(|change| webhook_field(&change.field, &change.file)) {
        input[field] = value;
    }
    if item.changes.iter().any(|change| matches!(&*change.field, "applications" | "instances")) {
        input["scope"] = scope(&item.merged(), ids);
    }
    if item.sends_secrets {
        put_secrets(&mut input, file, secrets);
    }
    call("updateWebhook", input, "webhook { id }")
}

/// The mutations that replace something as a whole.
fn whole(item: &Item, fields: &Fields, ids: &Ids) -> Vec<Call> {
    let get = |field: &str| fields.get(field).cloned().unwrap_or_default();
    match item.section() {
        Section::Recipients => {
            let expected = item.server.as_ref().and_then(|server| server.fields.get("emails"));
            vec![call("setRecipients", json!({ "emails": get("emails"), "expectedEmails": expected }), "__typename")]
        }
        Section::Prices => vec![price(&get, ids)],
        Section::Contracts => vec![contract(item, &get, ids)],
        Section::People => people(item, &get, ids),
        Section::Reports => vec![reports(item, ids)],
        Section::Instances | Section::Webhooks => vec![],
    }
}

fn price(get: &impl Fn(&str) -> Value, ids: &Ids) -> Call {
    let price = without_nulls(json!({
        "billingMonths": get("billing_months"),
        "currency": get("currency"),
        "seats": get("seats"),
        "totalPrice": get("total_price"),
        "unitPrice": get("unit_price"),
    }));
    let input = json!({ "instanceId": id_of(ids, &get("instance")), "license": get("license"), "price": price });
    call("setPrice", input, "__typename")
}

fn contract(item: &Item, get: &impl Fn(&str) -> Value, ids: &Ids) -> Call {
    let line = |line: &Value| {
        without_nulls(json!({
            "license": line["license"],
            "seats": line["seats"],
            "unitPrice": line["unit_price"],
            "totalPrice": line["total_price"],
        }))
    };
    let input = without_nulls(json!({
        "id": item.server.as_ref().and_then(|server| server.id.clone()),
        "expectedRevision": item.server.as_ref().and_then(|server| server.revision),
        "instanceId": id_of(ids, &get("instance")),
        "name": get("name"),
        "startsOn": get("starts_on"),
        "endsOn": get("ends_on"),
        "noticeDays": get("notice_days"),
        "currency": get("currency"),
        "billingMonths": get("billing_months"),
        "lines": get("lines").as_array().into_iter().flatten().map(line).collect::<Vec<_>>(),
    }));
    call("upsertContract", input, "contract { id }")
}

fn people(item: &Item, get: &impl Fn(&str) -> Value, ids: &Ids) -> Vec<Call> {
    let changes = |field: &str| item.changes.iter().any(|change| change.field == field);
    let mut calls = Vec::new();
    if ["owned_domains", "equivalent_domains", "strip_tags"].into_iter().any(changes) {
        let pair = |pair: &Value| json!({ "domain": pair["domain"], "sameAs": pair["same_as"] });
        let equivalents: Vec<_> = get("equivalent_domains").as_array().into_iter().flatten().map(pair).collect();
        let input = json!({
            "owned": get("owned_domains"),
            "equivalents": equivalents,
            "stripTags": get("strip_tags"),
        });
        calls.push(call("setOwnedDomains", input, "__typename"));
    }
    if changes("sources") {
        let source = |row: &Value| json!({ "instanceId": id_of(ids, &row["instance"]), "rank": row["rank"] });
        let sources: Vec<_> = get("sources").as_array().into_iter().flatten().map(source).collect();
        calls.push(call("setPeopleSources", json!({ "sources": sources }), "__typename"));
    }
    calls
}

fn reports(item: &Item, ids: &Ids) -> Call {
    let enforcement =
        |row: &Value| json!({ "instanceId": id_of(ids, &row["instance"]), "providerId": id_of(ids, &row["provider"]) });
    let mut input = json!({});
    for change in &item.changes {
        let list = || change.file.as_array().into_iter().flatten();
        match &*change.field {
            "disabled_findings" => input["disabledTypes"] = upper(&change.file),
            "inactive_days" => input["inactiveDays"] = change.file.clone(),
            "weekly_digest" => input["weeklyDigest"] = change.file.clone(),
            "sign_in_enforced_by" => input["signInEnforcedBy"] = list().map(enforcement).collect(),
            _ => {}
        }
    }
    call("setReportSettings", input, "__typename")
}
