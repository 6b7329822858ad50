//! The file: what is written in it, and what its words mean.
//!
//! The settings that a server has are read into the same types, so that both are compared by the same rules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use super::reference::{Address, Reference};

/// The settings of a Muster. A section that is left out is not looked at.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The addresses that get mail about every instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Vec<String>>,
    /// The applications that are connected. Their names are their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<Instance>>,
    /// Programs, chats and alert managers that get messages. Their names are their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Vec<Webhook>>,
    /// What licences cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Vec<Price>>,
    /// Contracts about licences. Their names are unique in their instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contracts: Option<Vec<Contract>>,
    /// How people are recognised. A key that is left out is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<People>,
    /// What is held against accounts. A key that is left out is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Reports>,
}

/// What the server knows something by. It is never written into the file.
#[derive(Clone, Default)]
pub struct Origin {
    pub id: Option<String>,
    pub revision: Option<i64>,
}

/// One connection of an application.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The name, which no other instance has, in any case.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// An earlier name: the instance with it is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The key of the application, such as okta.
    pub application: String,
    /// Whether it is synced; true if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// The minutes between two syncs; 60 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_interval_minutes: Option<i64>,
    /// The settings of the application that are no secrets. One that is left out is left alone; an empty text clears it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Where the secrets are, such as env:OKTA_TOKEN or file:okta.token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Reference>,
    #[serde(skip)]
    pub origin: Origin,
}

/// What receives the messages of a webhook.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Alertmanager,
    Discord,
    GoogleChat,
    Mattermost,
    Ntfy,
    Opsgenie,
    Pagerduty,
    RocketChat,
    Slack,
    #[default]
    Standard,
    Teams,
}

impl Kind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_standard(&self) -> bool {
        *self == Kind::Standard
    }
}

/// A program, a chat or an alert manager.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The name in this file. It is also the description, unless that is written.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// An earlier name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What receives the messages; standard, a program, if it is left out.
    #[serde(default, skip_serializing_if = "Kind::is_standard")]
    pub kind: Kind,
    /// What it is for, if that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The address. Of a chat or an alert manager it is a secret: env:NAME or file:PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub url: Option<Address>,
    /// Where the key is that some kinds need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Reference>,
    /// The file that gets the secret of a new webhook, such as file:hook.secret. Without it, the secret is printed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_to: Option<Reference>,
    /// Whether it gets messages; true if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The causes of the events that it gets, such as sync_failed; every cause if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causes: Option<Vec<String>>,
    /// Whether it gets only events that change a status or a health; true if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_changes: Option<bool>,
    /// The changes of accounts whose numbers it gets: added, changed, removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account_changes: Vec<String>,
    /// Whether it gets the numbers of opened and closed findings; false if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding_changes: Option<bool>,
    /// The applications that it is limited to. Without these and without instances, it gets everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// The instances that it is limited to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    #[serde(skip)]
    pub origin: Origin,
}

/// The price of a licence. It is written as a whole.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the words of the API")]
pub struct Price {
    /// The name of the instance.
    #[schemars(with = "String")]
    pub instance: Spanned<String>,
    /// The name of the licence, exactly as the application writes it.
    pub license: String,
    /// What one seat costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    /// What all seats cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_price: Option<String>,
    /// How many seats the total is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<i64>,
    /// The code of the currency, such as EUR.
    pub currency: String,
    /// How many months the price is for; 12 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_months: Option<i64>,
}

/// A contract. It is written as a whole.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// An earlier name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The name of the instance.
    pub instance: String,
    /// The first day, such as 2027-01-01.
    pub starts_on: String,
    /// The last day.
    pub ends_on: String,
    /// How many days before the end notice must be given; 0 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_days: Option<i64>,
    /// The code of the currency, such as EUR.
    pub currency: String,
    /// How many months its prices are for; 12 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_months: Option<i64>,
    /// Its licences.
    pub lines: Vec<Line>,
    #[serde(skip)]
    pub origin: Origin,
}

/// The seats of one licence in a contract.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The name of the licence, exactly as the application writes it.
    pub license: String,
    /// How many seats there are.
    pub seats: i64,
    /// What one seat costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    /// What all seats cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_price: Option<String>,
}

/// How people are recognised.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// The instances that say who the people of the company are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Source>>,
    /// All domains of the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_domains: Option<Vec<String>>,
    /// Pairs of domains in which an address is that of the same person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equivalent_domains: Option<Vec<Pair>>,
    /// Whether the part of an address that follows a + is left out, in owned domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip_tags: Option<bool>,
}

/// A people source.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name of the instance.
    pub instance: String,
    /// Its rank, from 1 to 100. The lowest number has the last word.
    pub rank: i64,
}

/// A pair of equivalent domains.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// One of them.
    pub domain: String,
    /// The other one.
    pub same_as: String,
}

/// What is held against accounts.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The types of findings that are switched off, such as no_mfa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_findings: Option<Vec<String>>,
    /// After how many days without activity an account is inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactive_days: Option<i64>,
    /// The applications whose people sign in by an identity provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_enforced_by: Option<Vec<Enforcement>>,
    /// Whether every recipient gets a weekly digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly_digest: Option<bool>,
}

/// An application whose people sign in by an identity provider.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enforcement {
    /// The name of the application's instance.
    pub instance: String,
    /// The name of the identity provider's instance.
    pub provider: String,
}

/// A text that was not read from a file.
pub fn unplaced(text: &str) -> Spanned<String> {
    Spanned::new(text.to_owned(), Location::UNKNOWN, Location::UNKNOWN)
}
