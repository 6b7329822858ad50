//! Reads the settings of a server into the words of the file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::{
    Contract, Document, Enforcement, Instance, Kind, Line, Origin, Pair, People, Price, Reports, Source, Webhook,
    unplaced,
};
use super::object::Section;
use super::reference::{Address, Reference};
use super::state::State;
use crate::cli::client::Client;

const INSTANCE: &str = "id name revision status inactiveReason syncIntervalMinutes integration { key }
    config { key value isSet }";
const WEBHOOK: &str = "id revision kind description url state disabledReason causes onlyChanges accountChanges
    findingChanges scope { integrationKeys instanceIds }";
const PRICE: &str = "name instance { name } price { billingMonths seats totalPrice { amount currency }
    unitPrice { amount currency } }";
const CONTRACT: &str = "id name revision instance { name } startsOn endsOn noticeDays currency billingMonths
    lines { license seats unitPrice totalPrice }";

/// An application of the catalog.
pub struct Application {
    /// Whether each setting is a secret.
    pub settings: BTreeMap<String, bool>,
    /// The ways to authenticate, and whether each needs the consent of a person.
    options: Vec<(String, bool)>,
    /// The way that is used if none is chosen.
    usual: Option<String>,
}

impl Application {
    /// Whether only a person can connect it, with these settings.
    pub fn needs_consent(&self, chosen: Option<&str>) -> bool {
        let chosen = chosen.filter(|key| !key.is_empty()).or(self.usual.as_deref());
        let option = self.options.iter().find(|(key, _)| Some(&**key) == chosen).or(self.options.first());
        option.is_some_and(|(_, consent)| *consent)
    }
}

/// What a server has.
pub struct Server {
    pub document: Document,
    pub catalog: BTreeMap<String, Application>,
}

/// Reads the sections, and always the instances, because others name them.
pub async fn read(client: &Client, sections: &BTreeSet<Section>, base: Option<&State>) -> Result<Server, String> {
    let catalog = catalog(client).await?;
    let rows = client.pages("instances", ", filter: { statuses: [LIVE, INACTIVE] }", INSTANCE).await?;
    let names: BTreeMap<String, String> = rows.iter().map(|row| (text(&row["id"]), text(&row["name"]))).collect();
    let mut document =
        Document { instances: Some(rows.iter().map(|row| instance(row, &catalog)).collect()), ..Document::default() };
    for section in sections {
        let done = add(client, *section, &mut document, &names, base).await;
        done.map_err(|line| format!("the section {} of the server: {line}", section.key()))?;
    }
    Ok(Server { document, catalog })
}

/// Reads one section into the document.
async fn add(
    client: &Client,
    section: Section,
    document: &mut Document,
    names: &BTreeMap<String, String>,
    base: Option<&State>,
) -> Result<(), String> {
    match section {
        Section::Instances => {}
        Section::Recipients => {
            let found = client.ask("{ recipients { emails } }", json!({})).await?;
            document.recipients = Some(texts(&found["recipients"]["emails"]));
        }
        Section::Webhooks => {
            let found = client.ask(&format!("{{ webhooks {{ {WEBHOOK} }} }}"), json!({})).await?;
            document.webhooks = Some(webhooks(&found["webhooks"], names, base));
        }
        Section::Prices => {
            let rows = client.pages("licenses", "", PRICE).await?;
            document.prices = Some(rows.iter().filter(|row| !row["price"].is_null()).map(price).collect());
        }
        Section::Contracts => {
            let rows = client.pages("renewals", ", filter: { includeEnded: true }", CONTRACT).await?;
            document.contracts = Some(rows.iter().map(contract).collect());
        }
        Section::People => document.people = Some(people(client).await?),
        Section::Reports => document.reports = Some(reports(client).await?),
    }
    Ok(())
}

async fn catalog(client: &Client) -> Result<BTreeMap<String, Application>, String> {
    let fields = "key configFields { key secret default } authenticationOptions { key kind }";
    let rows = client.pages("integrations", "", fields).await?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let application = |row: &Value| {
        let fields = list(&row["configFields"]);
        let usual = fields.iter().find(|field| field["key"] == "authentication");
        let consent = |option: &Value| (text(&option["key"]), option["kind"] == "OAUTH2_AUTHORIZATION_CODE");
        Application {
            settings: fields.iter().map(|field| (text(&field["key"]), field["secret"] == json!(true))).collect(),
            options: list(&row["authenticationOptions"]).iter().map(consent).collect(),
            usual: usual.and_then(|field| field["default"].as_str()).map(str::to_owned),
        }
    };
    Ok(rows.iter().map(|row| (text(&row["key"]), application(row))).collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// Words of the API in the spelling of the file. Their order means nothing.
fn words(value: &Value) -> Vec<String> {
    sorted(texts(value).into_iter().map(|word| word.to_lowercase()))
}

/// In an order that stays, so that two exports of the same settings are equal.
fn sorted(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort();
    texts
}

fn origin(row: &Value) -> Origin {
    Origin { id: Some(text(&row["id"])), revision: row["revision"].as_i64() }
}

/// A number, unless it is the usual one.
fn unusual(value: &Value, usual: i64) -> Option<i64> {
    value.as_i64().filter(|number| *number != usual)
}

fn instance(row: &Value, catalog: &BTreeMap<String, Application>) -> Instance {
    let application = text(&row["integration"]["key"]);
    let is_secret = |key: &str| catalog.get(&application).and_then(|found| found.settings.get(key)) == Some(&true);
    let name = text(&row["name"]);
    let (mut settings, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for value in row["config"].as_array().into_iter().flatten().filter(|value| value["isSet"] == json!(true)) {
        let key = text(&value["key"]);
        if is_secret(&key) {
            let place = variable(&[&application, &name, &key]);
            secrets.insert(key, place);
        } else {
            settings.insert(key, text(&value["value"]));
        }
    }
    // That the server switched it off is no setting.
    let is_off = row["inactiveReason"] == "USER_DEACTIVATED";
    Instance {
        name: unplaced(&name),
        was: None,
        application,
        active: is_off.then_some(false),
        sync_interval_minutes: unusual(&row["syncIntervalMinutes"], 60),
        settings,
        secrets,
        origin: origin(row),
    }
}

/// The variable that is proposed for a secret.
fn variable(parts: &[&str]) -> Reference {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    Reference::Env(format!("MUSTER_{}", parts.join("_").chars().map(plain).collect::<String>()))
}

/// A webhook has a description, which need not be there and need not be the only one. Then its kind and a number are
/// its name, unless it was given another one before.
fn webhooks(rows: &Value, names: &BTreeMap<String, String>, base: Option<&State>) -> Vec<Webhook> {
    let rows = rows.as_array().cloned().unwrap_or_default();
    let mut taken = BTreeSet::new();
    let known = |id: &str| {
        let agreed = base?.objects.iter().find(|agreed| agreed.id.as_deref() == Some(id))?;
        // A name that only repeated the description follows it.
        (agreed.fields.get("description") != Some(&json!(agreed.name))).then(|| agreed.name.clone())
    };
    let mut found = Vec::new();
    for row in &rows {
        let description = text(&row["description"]);
        let is_only = rows.iter().filter(|other| text(&other["description"]) == description).count() == 1;
        let (first, is_unclear) = match known(&text(&row["id"])) {
            Some(name) => (name, false),
            None if description.is_empty() => (text(&row["kind"]).to_lowercase(), true),
            None => (description.clone(), !is_only),
        };
        let numbered = (1..).map(|number| format!("{first} {number}"));
        let mut names_of_it = (!is_unclear).then(|| first.clone()).into_iter().chain(numbered);
        let name = names_of_it.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or_default();
        taken.insert(name.to_lowercase());
        found.push(webhook(row, &name, description, names));
    }
    found
}

/// Stands for the instances of a webhook that is limited to deleted ones. Without any, it would get everything.
pub const DELETED: &str = "(deleted)";
/// Where the alert managers are unless a webhook says otherwise.
const USUAL: [&str; 2] = ["https://events.pagerduty.com", "https://api.opsgenie.com"];

fn webhook(row: &Value, name: &str, description: String, names: &BTreeMap<String, String>) -> Webhook {
    let kind: Kind = serde_json::from_value(json!(text(&row["kind"]).to_lowercase())).unwrap_or_default();
    let url = match kind {
        Kind::Standard => Address::Plain(text(&row["url"])),
        _ => Address::Secret(variable(&[&text(&row["kind"]), name, "URL"])),
    };
    let needs_key = matches!(kind, Kind::Pagerduty | Kind::Opsgenie);
    let is_usual = needs_key && USUAL.iter().any(|usual| text(&row["url"]).starts_with(usual));
    let limited = texts(&row["scope"]["instanceIds"]);
    let mut instances = sorted(limited.iter().filter_map(|id| names.get(id).cloned()));
    if instances.is_empty() && !limited.is_empty() {
        instances.push(DELETED.to_owned());
    }
    Webhook {
        name: unplaced(name),
        was: None,
        kind,
        description: (description != name).then_some(description),
        url: (!is_usual).then_some(url),
        key: needs_key.then(|| variable(&[&text(&row["kind"]), name, "KEY"])),
        secret_to: None,
        enabled: (row["disabledReason"] == "MEMBER").then_some(false),
        causes: (!row["causes"].is_null()).then(|| words(&row["causes"])),
        only_changes: (row["onlyChanges"] == json!(false)).then_some(false),
        account_changes: words(&row["accountChanges"]),
        finding_changes: (row["findingChanges"] == json!(true)).then_some(true),
        applications: sorted(texts(&row["scope"]["integrationKeys"])),
        instances,
        origin: origin(row),
    }
}

fn optional(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn price(row: &Value) -> Price {
    let price = &row["price"];
    let currency =
        [&price["unitPrice"], &price["totalPrice"]].into_iter().find_map(|money| optional(&money["currency"]));
    Price {
        instance: unplaced(&text(&row["instance"]["name"])),
        license: text(&row["name"]),
        unit_price: optional(&price["unitPrice"]["amount"]),
        total_price: optional(&price["totalPrice"]["amount"]),
        seats: price["seats"].as_i64(),
        currency: currency.unwrap_or_default(),
        billing_months: unusual(&price["billingMonths"], 12),
    }
}

fn contract(row: &Value) -> Contract {
    let line = |line: &Value| Line {
        license: text(&line["license"]),
        seats: line["seats"].as_i64().unwrap_or_default(),
        unit_price: optional(&line["unitPrice"]),
        total_price: optional(&line["totalPrice"]),
    };
    Contract {
        name: unplaced(&text(&row["name"])),
        was: None,
        instance: text(&row["instance"]["name"]),
        starts_on: text(&row["startsOn"]),
        ends_on: text(&row["endsOn"]),
        notice_days: unusual(&row["noticeDays"], 0),
        currency: text(&row["currency"]),
        billing_months: unusual(&row["billingMonths"], 12),
        lines: row["lines"].as_array().into_iter().flatten().map(line).collect(),
        origin: origin(row),
    }
}

async fn people(client: &Client) -> Result<People, String> {
    let query = "{ peopleSettings { sources { rank instance { name } } ownedDomains stripTags
        equivalentDomains { domain sameAs } } }";
    let found = client.ask(query, json!({})).await?["peopleSettings"].take();
    let source = |row: &Value| Source {
        instance: text(&row["instance"]["name"]),
        rank: row["rank"].as_i64().unwrap_or_default(),
    };
    let pair = |row: &Value| Pair { domain: text(&row["domain"]), same_as: text(&row["sameAs"]) };
    let mut sources: Vec<_> = found["sources"].as_array().into_iter().flatten().map(source).collect();
    sources.sort_by_key(|source| (source.rank, source.instance.clone()));
    let mut pairs: Vec<_> = found["equivalentDomains"].as_array().into_iter().flatten().map(pair).collect();
    pairs.sort_by_key(|pair| (pair.domain.clone(), pair.same_as.clone()));
    Ok(People {
        sources: Some(sources),
        owned_domains: Some(sorted(texts(&found["ownedDomains"]))),
        equivalent_domains: Some(pairs),
        strip_tags: found["stripTags"].as_bool(),
    })
}

async fn reports(client: &Client) -> Result<Reports, String> {
    let query = "{ reportSettings { disabledTypes inactiveDays weeklyDigest
        signInEnforcedBy { instance { name } provider { name } } } }";
    let found = client.ask(query, json!({})).await?["reportSettings"].take();
    let enforcement = |row: &Value| Enforcement {
        instance: text(&row["instance"]["name"]),
        provider: text(&row["provider"]["name"]),
    };
    let mut enforced: Vec<_> = found["signInEnforcedBy"].as_array().into_iter().flatten().map(enforcement).collect();
    enforced.sort_by_key(|row| (row.instance.clone(), row.provider.clone()));
    Ok(Reports {
        disabled_findings: Some(words(&found["disabledTypes"])),
        inactive_days: found["inactiveDays"].as_i64(),
        sign_in_enforced_by: Some(enforced),
        weekly_digest: found["weeklyDigest"].as_bool(),
    })
}
