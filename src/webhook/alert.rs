//! Alerts: when one is triggered and resolved, and the bodies of their messages. Pure.
//!
//! There is one alert for each instance that fails. What is stored of a message is everything but what is secret, and but
//! the times that depend on when it is sent: see [`super::request`].

use chrono::SecondsFormat;
use entity::event::Cause;
use entity::instance::{Health, InactiveReason, Model as Instance, Status};
use entity::run::FailureClass;
use entity::webhook::Kind;
use serde_json::{Value, json};
use uuid::Uuid;

use super::text::{fit, plain};
use crate::clock::date_time;
use crate::instance::event::Event;
use crate::notification::compose::Brief;

/// For how long an Alertmanager is told that an alert lasts, in milliseconds. It is told again before that.
pub const LASTS_MS: i64 = 10 * 60 * 1_000;
/// How often it is told again.
pub const REPEAT_MS: i64 = 3 * 60 * 1_000;
/// For how long a test lasts there.
const TEST_LASTS_MS: i64 = 60_000;

/// What becomes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Trigger,
    /// The instance fails for another reason, or was switched off because of it.
    Update,
    Resolve(Ending),
}

/// Why an alert is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Recovered,
    SwitchedOff,
    Deleted,
    /// The webhook is no longer for the instance.
    OutOfScope,
}

impl Ending {
    fn sentence(self) -> &'static str {
        match self {
            Self::Recovered => "The sync works again.",
            Self::SwitchedOff => "Somebody switched the instance off.",
            Self::Deleted => "The instance was deleted.",
            Self::OutOfScope => "These alerts are no longer for this instance.",
        }
    }
}

impl Action {
    pub fn message_type(self) -> &'static str {
        match self {
            Self::Trigger => "alert.triggered",
            Self::Update => "alert.updated",
            Self::Resolve(_) => "alert.resolved",
        }
    }
}

/// The state of an instance, as far as an alert reports it.
pub fn reported(instance: &Instance) -> String {
    let class = instance.failure_class.map_or_else(|| "unknown".to_owned(), |class| entity::growing::text(&class));
    let status = if instance.status == Status::Inactive { "off" } else { "live" };
    format!("{class} {status}")
}

/// What an event means for the alert of its instance. `open` is the state that the alert reports, if one is open.
pub fn decide(event: &Event, open: Option<&str>) -> Option<Action> {
    let instance = &event.snapshot.instance;
    let end = match event.cause {
        Cause::Deactivated => Some(Ending::SwitchedOff),
        _ => ending(instance),
    };
    match (end, open) {
        (Some(end), Some(_)) => Some(Action::Resolve(end)),
        (Some(_), None) => None,
        // Only a run says that an instance fails: what happens to one that fails already does not.
        (None, _) if !matches!(event.cause, Cause::SyncFailed | Cause::Revoked) => None,
        (None, None) => Some(Action::Trigger),
        (None, Some(open)) => (open != reported(instance)).then_some(Action::Update),
    }
}

/// Why no alert is open for an instance in this state. `None` if one may be.
pub fn ending(instance: &Instance) -> Option<Ending> {
    match (instance.status, instance.health) {
        (Status::Deleting | Status::Deleted, _) => Some(Ending::Deleted),
        (_, Health::Pending | Health::Ok | Health::Partial) => Some(Ending::Recovered),
        _ if instance.inactive_reason == Some(InactiveReason::UserDeactivated) => Some(Ending::SwitchedOff),
        _ => None,
    }
}

/// By what an alert manager knows the alert of an instance.
fn key(instance: Uuid) -> String {
    format!("muster-{}", instance.simple())
}

/// How bad it is: `warning` for what a guard holds, `critical` for what is switched off, `error` for the rest.
fn severity(instance: &Instance) -> &'static str {
    match (instance.status, instance.failure_class) {
        (Status::Inactive, _) => "critical",
        (_, Some(FailureClass::RemovalGuard | FailureClass::GrowthGuard)) => "warning",
        _ => "error",
    }
}

fn details(brief: &Brief) -> String {
    let steps = brief.steps.iter().zip(1..).map(|(step, number)| format!("{number}. {step}"));
    let steps: Vec<String> = steps.collect();
    format!("{}\n\nWhat to do:\n{}", brief.happened.join("\n"), steps.join("\n"))
}

fn time(ms: i64) -> String {
    date_time(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The body of the message that an instance fails.
pub fn triggered(kind: Kind, action: Action, instance: &Instance, brief: &Brief, at: i64) -> Value {
    let (key, severity) = (key(instance.id), severity(instance));
    let since = time(instance.failing_since.unwrap_or(at));
    let integration = &instance.integration_key;
    match kind {
        Kind::Opsgenie if action == Action::Update => {
            let note = fit(&format!("{}\n{}", brief.title, details(brief)), 25_000, plain);
            json!({ "action": "notes", "alias": key, "body": { "source": "Muster", "note": note } })
        }
        Kind::Opsgenie => json!({ "action": "create", "alias": key, "body": {
            "message": fit(&brief.title, 130, plain),
            "alias": key,
            "description": fit(&details(brief), 15_000, plain),
            "entity": fit(&instance.name, 512, plain),
            "source": "Muster",
            "tags": ["muster", fit(integration, 50, plain)],
            "details": { "since": since, "link": brief.link },
            "priority": match severity { "critical" => "P2", "warning" => "P4", _ => "P3" },
        } }),
        Kind::Alertmanager => json!({
            "labels": {
                "alertname": "MusterSyncFailing",
                "instance": fit(&instance.name, 200, plain),
                "instance_id": instance.id.simple().to_string(),
                "integration": integration,
                // Not that of the state: another label would make another alert.
                "severity": "warning",
            },
            "annotations": {
                "summary": fit(&brief.title, 300, plain),
                "description": fit(&details(brief), 4_000, plain),
                "severity": severity,
            },
            "startsAt": since,
            "generatorURL": brief.link,
            "lasts": LASTS_MS,
        }),
        // PagerDuty.
        _ => json!({
            "event_action": "trigger",
            "dedup_key": key,
            "client": "Muster",
            "client_url": brief.link,
            "links": [{ "href": brief.link, "text": "Open in Muster" }],
            "payload": {
                "summary": fit(&brief.title, 1_024, plain),
                "source": fit(&instance.name, 255, plain),
                "severity": severity,
                "timestamp": time(at),
                "component": integration,
                "class": "sync",
                "custom_details": { "what": fit(&details(brief), 8_000, plain), "since": since },
            },
        }),
    }
}

/// Gives a body the labels of the one before: an Alertmanager takes one with other labels for another alert.
pub fn keep_labels(body: &mut Value, before: &str) {
    let before: Value = serde_json::from_str(before).unwrap_or_default();
    if let (Some(own), Some(labels)) = (body.get_mut("labels"), before.get("labels")) {
        *own = labels.clone();
    }
}

/// The body of the message that an alert is over. `before` is the body with which it was triggered.
pub fn resolved(kind: Kind, instance: Uuid, end: Ending, before: &str) -> Value {
    let (key, sentence) = (key(instance), end.sentence());
    match kind {
        Kind::Opsgenie => {
            json!({ "action": "close", "alias": key, "body": { "source": "Muster", "note": sentence } })
        }
        Kind::Alertmanager => {
            // Its labels say which alert it is.
            let mut body: Value = serde_json::from_str(before).unwrap_or_default();
            body["annotations"]["resolved"] = sentence.into();
            body["lasts"] = 0.into();
            body
        }
        _ => json!({ "event_action": "resolve", "dedup_key": key }),
    }
}

/// The body of a test.
pub fn test(kind: Kind, id: Uuid, link: &str, now: i64) -> Value {
    let (key, title) = (format!("muster-test-{}", id.simple()), "This is a test of Muster");
    let text = "Since you can read it, alerts arrive here.";
    match kind {
        Kind::Opsgenie => json!({ "action": "create", "alias": key, "body": {
            "message": title, "alias": key, "description": text, "source": "Muster", "tags": ["muster"], "priority": "P5",
        } }),
        Kind::Alertmanager => json!({
            "labels": { "alertname": "MusterTest", "severity": "none" },
            "annotations": { "summary": title, "description": text },
            "startsAt": time(now),
            "generatorURL": link,
            "lasts": TEST_LASTS_MS,
        }),
        _ => json!({
            "event_action": "trigger",
            "dedup_key": key,
            "client": "Muster",
            "client_url": link,
            "payload": { "summary": title, "source": "Muster", "severity": "info", "timestamp": time(now) },
        }),
    }
}
