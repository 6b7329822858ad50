//! What each kind of receiver is called, and what its addresses look like.

use std::net::IpAddr;

use entity::webhook::Kind;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest key or token of a service, in characters.
const LONGEST_KEY: usize = 500;

/// What a receiver wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Events, for a program.
    Standard,
    /// What is also written by mail, for people.
    Chat,
    /// Alerts that are triggered and resolved.
    Alert,
}

/// To which family a kind belongs.
pub fn family(kind: Kind) -> Family {
    match kind {
        Kind::Standard => Family::Standard,
        Kind::Slack
        | Kind::Mattermost
        | Kind::RocketChat
        | Kind::Teams
        | Kind::GoogleChat
        | Kind::Discord
        | Kind::Ntfy => Family::Chat,
        Kind::Pagerduty | Kind::Opsgenie | Kind::Alertmanager => Family::Alert,
    }
}

/// The whole address of a chat or an alert manager. All of it is secret but its host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub url: String,
    pub key: Option<String>,
}

/// What a kind wants besides the address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// Nothing: the address is all.
    Nothing,
    Optional(&'static str),
    Required(&'static str),
}

/// What the addresses of a kind look like.
struct Form {
    name: &'static str,
    example: &'static str,
    /// Hosts, or their ends if they begin with a full stop. Empty for every host.
    hosts: &'static [&'static str],
    /// Used if no address is given.
    usual: Option<&'static str>,
    key: Key,
    fits: fn(&Url, &[&str]) -> bool,
}

const CHAT: Form = Form { name: "", example: "", hosts: &[], usual: None, key: Key::Nothing, fits: |_, _| true };

/// What the addresses of each kind look like. Any address fits `STANDARD`.
const FORMS: &[(Kind, Form)] = &[
    (
        Kind::Slack,
        Form {
            name: "Slack",
            example: "https://hooks.slack.com/services/T…/B…/…",
            hosts: &["hooks.slack.com", "hooks.slack-gov.com"],
            fits: |_, path| matches!(path, ["services", _, _, _]),
            ..CHAT
        },
    ),
    (
        Kind::Mattermost,
        Form {
            name: "Mattermost",
            example: "https://mattermost.example.com/hooks/…",
            fits: |_, path| matches!(path, [.., "hooks", _]),
            ..CHAT
        },
    ),
    (
        Kind::RocketChat,
        Form {
            name: "Rocket.Chat",
            example: "https://chat.example.com/hooks/…/…",
            fits: |_, path| matches!(path, [.., "hooks", _, _]),
            ..CHAT
        },
    ),
    (
        Kind::Teams,
        Form {
            name: "Workflows in Microsoft Teams",
            example: "https://….powerplatform.com/powerautomate/automations/direct/workflows/…/triggers/manual/paths/invoke?…&sig=…",
            hosts: &[
                ".powerplatform.com",
                ".logic.azure.com",
                ".powerplatform.microsoft.us",
                ".logic.azure.us",
                ".powerplatform.partner.microsoftonline.cn",
                ".logic.azure.cn",
            ],
            fits: |url, path| path.contains(&"workflows") && has(url, "sig"),
            ..CHAT
        },
    ),
    (
        Kind::GoogleChat,
        Form {
            name: "Google Chat",
            example: "https://chat.googleapis.com/v1/spaces/…/messages?key=…&token=…",
            hosts: &["chat.googleapis.com"],
            fits: |url, path| matches!(path, ["v1", "spaces", _, "messages"]) && has(url, "key") && has(url, "token"),
            ..CHAT
        },
    ),
    (
        Kind::Discord,
        Form {
            name: "Discord",
            example: "https://discord.com/api/webhooks/…/…",
            hosts: &["discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"],
            fits: |_, path| matches!(path, ["api", "webhooks", _, _] | ["api", _, "webhooks", _, _]),
            ..CHAT
        },
    ),
    (
        Kind::Ntfy,
        Form {
            name: "ntfy",
            example: "https://ntfy.sh/your-topic",
            key: Key::Optional("An access token of ntfy has only letters, digits and underscores."),
            fits: |url, path| matches!(path, [topic] if is_topic(topic)) && url.query().is_none(),
            ..CHAT
        },
    ),
    (
        Kind::Pagerduty,
        Form {
            name: "PagerDuty",
            example: "https://events.pagerduty.com/v2/enqueue",
            hosts: &["events.pagerduty.com", "events.eu.pagerduty.com"],
            usual: Some("https://events.pagerduty.com/v2/enqueue"),
            key: Key::Required(
                "Give the integration key of an Events API v2 integration: it has 32 letters and digits.",
            ),
            fits: |_, path| matches!(path, ["v2", "enqueue"]),
        },
    ),
    (
        Kind::Opsgenie,
        Form {
            name: "Opsgenie",
            example: "https://api.opsgenie.com, https://api.eu.opsgenie.com or https://api.atlassian.com/jsm/ops/integration",
            hosts: &["api.opsgenie.com", "api.eu.opsgenie.com", "api.atlassian.com"],
            usual: Some("https://api.opsgenie.com"),
            key: Key::Required("Give the key of an API integration: it has letters, digits and hyphens."),
            fits: |_, path| {
                let base = path.strip_suffix(&["v2", "alerts"]).unwrap_or(path);
                matches!(base, [] | ["jsm", "ops", "integration"])
            },
        },
    ),
    (
        Kind::Alertmanager,
        Form {
            name: "Alertmanager",
            example: "https://alertmanager.example.com",
            key: Key::Optional("Give user:password, or a bearer token, without spaces."),
            fits: |url, _| url.query().is_none(),
            ..CHAT
        },
    ),
];

fn form(kind: Kind) -> Option<&'static Form> {
    FORMS.iter().find(|(of, _)| *of == kind).map(|(_, form)| form)
}

fn has(url: &Url, name: &str) -> bool {
    url.query_pairs().any(|(key, value)| key == name && !value.is_empty())
}

fn is_topic(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// What is wrong with an address, and in which field.
pub type Wrong = (&'static str, String);

/// The address of a chat or an alert manager as it is stored. The rules for all addresses are checked apart.
pub fn checked(kind: Kind, url: &str, key: Option<&str>, networks: &[IpNet]) -> Result<Address, Wrong> {
    let Some(Form { name, example, hosts, usual, key: wanted, fits }) = form(kind) else {
        return match key {
            Some(_) => Err(("key", "A webhook of this kind has no key: messages are signed.".into())),
            None => Ok(Address { url: url.to_owned(), key: None }),
        };
    };
    let text = if url.is_empty() { usual.unwrap_or_default() } else { url };
    let no_address = || format!("This is no address of {name}. It looks like {example}.");
    let url = Url::parse(text).map_err(|_| ("url", no_address()))?;
    let path: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let host = url.host_str().unwrap_or_default();
    if let Some(hint) = hint(kind, host, &path) {
        return Err(("url", hint.into()));
    }
    let is_known = hosts.is_empty() || hosts.iter().any(|known| is_of(host, known)) || is_relay(&url, networks);
    if !is_known || !fits(&url, &path) {
        return Err(("url", no_address()));
    }
    let key = key.map(str::trim).filter(|key| !key.is_empty());
    let fault = match (*wanted, key) {
        (Key::Nothing, Some(_)) => Some("This kind has no key: its address is all that it needs."),
        (Key::Required(sentence), None) => Some(sentence),
        (Key::Required(sentence) | Key::Optional(sentence), Some(key)) => (!is_key(kind, key)).then_some(sentence),
        (Key::Nothing | Key::Optional(_), None) => None,
    };
    match fault {
        Some(sentence) => Err(("key", sentence.into())),
        None => Ok(Address { url: url.into(), key: key.map(str::to_owned) }),
    }
}

fn is_of(host: &str, known: &str) -> bool {
    if known.starts_with('.') { host.ends_with(known) } else { host == known }
}

/// Whether it is an address of an own network, where something may pass messages on to a service.
fn is_relay(url: &Url, networks: &[IpNet]) -> bool {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return false,
    };
    networks.iter().any(|network| network.contains(&address))
}

fn is_key(kind: Kind, key: &str) -> bool {
    let only = |more: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let fits = match kind {
        Kind::Pagerduty => key.len() == 32 && only(""),
        Kind::Opsgenie => only("-"),
        Kind::Ntfy => only("_"),
        _ => key.chars().all(|c| c.is_ascii_graphic()),
    };
    fits && key.len() <= LONGEST_KEY
}

/// What is known about addresses that look right to many people, but are not.
fn hint(kind: Kind, host: &str, path: &[&str]) -> Option<&'static str> {
    match kind {
        Kind::Slack if matches!(path, ["workflows" | "triggers", ..]) && is_of(host, "hooks.slack.com") => Some(
            "This is the address of a workflow in Slack, which expects other fields. Make an incoming webhook: its address \
             looks like https://hooks.slack.com/services/T…/B…/….",
        ),
        Kind::Teams if host.ends_with("webhook.office.com") || host == "outlook.office.com" => Some(
            "This is the address of a connector of Microsoft 365. Microsoft has retired them. In Teams, open Workflows, \
             choose “Send webhook alerts to a channel”, and enter the address that it gives you.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn fault(kind: Kind, url: &str, key: Option<&str>) -> Option<Wrong> {
        checked(kind, url, key, &["10.0.0.0/8".parse().unwrap()]).err()
    }

    #[test]
    fn addresses_of_each_service_are_taken() {
        for (kind, url, key) in [
            (Kind::Standard, "https://a.example/hook", None),
            (Kind::Slack, "https://hooks.slack.com/services/T0/B0/abc", None),
            (Kind::Slack, "http://10.0.0.7:8080/services/T0/B0/abc", None),
            (Kind::Mattermost, "https://chat.example.com/team/hooks/abc", None),
            (Kind::RocketChat, "https://chat.example.com/hooks/abc/def", None),
            (
                Kind::Teams,
                "https://default0.1.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/0/triggers/manual/paths/invoke?api-version=1&sig=x",
                None,
            ),
            (
                Kind::Teams,
                "https://prod-23.westeurope.logic.azure.com:443/workflows/0/triggers/manual/paths/invoke?sig=x",
                None,
            ),
            (Kind::GoogleChat, "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t", None),
            (Kind::Discord, "https://discord.com/api/webhooks/1/a", None),
            (Kind::Discord, "https://discordapp.com/api/v10/webhooks/1/a", None),
            (Kind::Ntfy, "https://ntfy.example.com/it-alerts", None),
            (Kind::Ntfy, "https://ntfy.sh/it_alerts", Some("tk_abc")),
            (Kind::Pagerduty, "", Some(KEY)),
            (Kind::Pagerduty, "https://events.eu.pagerduty.com/v2/enqueue", Some(KEY)),
            (Kind::Opsgenie, "", Some("eb243592-faa2-4ba2-a551-1afdf565c889")),
            (Kind::Opsgenie, "https://api.eu.opsgenie.com", Some("eb243592-faa2-4ba2-a551-1afdf565c889")),
            (Kind::Opsgenie, "https://api.atlassian.com/jsm/ops/integration/v2/alerts", Some("eb243592")),
            (Kind::Alertmanager, "https://alerts.example.com/am", None),
            (Kind::Alertmanager, "http://10.0.0.9:9093", Some("ada:secret")),
        ] {
            assert_eq!(fault(kind, url, key), None, "{kind:?} {url}");
        }
    }

    #[test]
    fn what_fits_no_service_says_what_would() {
        for (kind, url, key, field, said) in [
            (Kind::Slack, "", None, "url", "hooks.slack.com/services/"),
            (Kind::Slack, "https://evil.example/services/T0/B0/abc", None, "url", "no address of Slack"),
            (Kind::Slack, "https://10.1.2.3/x", None, "url", "no address of Slack"),
            (Kind::Slack, "https://hooks.slack.com/triggers/T0/1/abc", None, "url", "workflow"),
            (Kind::Slack, "https://hooks.slack.com/services/T0/B0/abc", Some("x"), "key", "no key"),
            (Kind::Mattermost, "https://chat.example.com/", None, "url", "/hooks/"),
            (Kind::RocketChat, "https://chat.example.com/hooks/abc", None, "url", "/hooks/"),
            (Kind::Teams, "https://acme.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d", None, "url", "retired"),
            (Kind::Teams, "https://outlook.office.com/webhook/a", None, "url", "Workflows"),
            (Kind::Teams, "https://prod-23.westeurope.logic.azure.com/workflows/0/invoke", None, "url", "sig="),
            (Kind::Teams, "https://evillogic.azure.com.example/workflows/0?sig=1", None, "url", "no address"),
            (Kind::GoogleChat, "https://chat.googleapis.com/v1/spaces/A/messages", None, "url", "token="),
            (Kind::Discord, "https://discord.com/channels/1/2", None, "url", "/api/webhooks/"),
            (Kind::Ntfy, "https://ntfy.sh/", None, "url", "topic"),
            (Kind::Ntfy, "https://ntfy.sh/a/b", None, "url", "topic"),
            (Kind::Ntfy, "https://ntfy.sh/a", Some("two words"), "key", "access token"),
            (Kind::Pagerduty, "", None, "key", "32"),
            (Kind::Pagerduty, "", Some("short"), "key", "32"),
            (Kind::Pagerduty, "https://acme.pagerduty.com", Some(KEY), "url", "v2/enqueue"),
            (Kind::Opsgenie, "", None, "key", "API integration"),
            (Kind::Alertmanager, "", None, "url", "no address"),
            (Kind::Alertmanager, "https://a.example", Some("a b"), "key", "bearer"),
            (Kind::Standard, "https://a.example", Some("x"), "key", "signed"),
        ] {
            let (at, sentence) = fault(kind, url, key).unwrap_or_else(|| panic!("{kind:?} {url} was taken"));
            assert!(at == field && sentence.contains(said), "{kind:?} {url}: {at}: {sentence}");
        }
    }

    #[test]
    fn every_kind_but_one_has_a_form() {
        for kind in Kind::iter() {
            assert_eq!(form(kind).is_none(), family(kind) == Family::Standard, "{kind:?}");
        }
    }
}
