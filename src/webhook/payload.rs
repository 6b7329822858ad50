//! The body of a message. Pure: the same event always gives the same text, which is stored before the first attempt.
//!
//! It is thin: no credential, no text that an application wrote, and nothing that names a person. `docs/webhooks.md` has
//! its JSON Schema. Fields may be added; a field whose meaning changes makes another [`VERSION`].

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use entity::finding::Kind;
use entity::instance::Model as Instance;
use entity::{finding_change, growing};
use serde::Serialize;

use super::Ids;
use super::wanted::Message;
use crate::clock::date_time;
use crate::error::Result;
use crate::events::findings::{Counts, PLACES};
use crate::instance::event::Event;

const VERSION: i32 = 1;
/// The type of a test.
pub const TEST: &str = "webhook.test";
/// The type of a message about what an evaluation has changed.
pub const FINDINGS: &str = "findings.changed";

#[derive(Serialize)]
struct Body<D> {
    r#type: String,
    timestamp: String,
    data: D,
}

#[derive(Serialize)]
struct TestData {
    version: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventData {
    version: i32,
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    instance: InstanceData,
    before: Option<BeforeData>,
    run: Option<RunData>,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingsData {
    version: i32,
    sequence: i64,
    instance: InstanceData,
    evaluated_at: String,
    opened: BTreeMap<String, i64>,
    closed: BTreeMap<String, i64>,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceData {
    id: String,
    name: String,
    integration: String,
    status: String,
    inactive_reason: Option<String>,
    health: String,
    failing_since: Option<String>,
    last_success_at: Option<String>,
    user_count: i64,
    revision: i32,
}

#[derive(Serialize)]
struct BeforeData {
    status: String,
    health: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunData {
    id: String,
    trigger: String,
    outcome: Option<String>,
    failure_class: Option<String>,
    seen: i64,
    added: i64,
    changed: i64,
    removed: i64,
}

impl InstanceData {
    fn of(instance: &Instance, ids: Ids) -> Self {
        Self {
            id: (ids.instance)(instance.id),
            name: instance.name.clone(),
            integration: instance.integration_key.clone(),
            status: word(&instance.status),
            inactive_reason: instance.inactive_reason.as_ref().map(word),
            health: word(&instance.health),
            failing_since: instance.failing_since.map(time),
            last_success_at: (instance.last_success_at > 0).then(|| time(instance.last_success_at)),
            user_count: instance.user_count,
            revision: instance.revision,
        }
    }
}

/// The body of a message about an event. `public_url` is where the links begin.
pub fn of_event(event: &Event, message: Message, ids: Ids, public_url: &str) -> serde_json::Result<String> {
    let snapshot = &event.snapshot;
    let instance = &snapshot.instance;
    let run = snapshot.current_run.as_ref().or(snapshot.last_run.as_ref());
    serde_json::to_string(&Body {
        r#type: message.message_type(event.cause),
        timestamp: time(event.at),
        data: EventData {
            version: VERSION,
            sequence: event.seq,
            count: match message {
                Message::Instance => None,
                Message::Accounts(_, count) => Some(count),
            },
            instance: InstanceData::of(instance, ids),
            before: snapshot
                .before
                .as_ref()
                .map(|before| BeforeData { status: word(&before.status), health: word(&before.health) }),
            run: run.map(|run| RunData {
                id: (ids.run)(run.id),
                trigger: word(&run.trigger),
                outcome: run.outcome.as_ref().map(word),
                failure_class: run.failure_class.as_ref().map(word),
                seen: run.seen,
                added: run.added,
                changed: run.changed,
                removed: run.removed,
            }),
            url: format!("{public_url}/{}", (ids.page)(instance.id)),
        },
    })
}

/// The body of a message about what an evaluation has changed. The instance is as it is now.
pub fn of_findings(change: &finding_change::Model, instance: &Instance, ids: Ids, public_url: &str) -> Result<String> {
    let Counts { opened, closed } = serde_json::from_str(&change.counts)?;
    let counts = |of: BTreeMap<Kind, i64>| of.into_iter().map(|(kind, count)| (word(&kind), count)).collect();
    Ok(serde_json::to_string(&Body {
        r#type: FINDINGS.into(),
        timestamp: time(change.at),
        data: FindingsData {
            version: VERSION,
            sequence: change.place / PLACES,
            instance: InstanceData::of(instance, ids),
            evaluated_at: time(change.at),
            opened: counts(opened),
            closed: counts(closed),
            url: format!("{public_url}/{}", (ids.page)(instance.id)),
        },
    })?)
}

/// The body of a test.
pub fn of_test(now: i64) -> serde_json::Result<String> {
    serde_json::to_string(&Body { r#type: TEST.into(), timestamp: time(now), data: TestData { version: VERSION } })
}

fn time(ms: i64) -> String {
    date_time(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An enum as the API shows it.
fn word(value: &impl Serialize) -> String {
    growing::text(value).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_its_type_its_time_and_its_version() {
        assert_eq!(
            of_test(1_700_000_000_123).unwrap(),
            r#"{"type":"webhook.test","timestamp":"2023-11-14T22:13:20.123Z","data":{"version":1}}"#
        );
        assert_eq!(word(&entity::event::Cause::SyncFailed), "SYNC_FAILED");
    }
}
