//! A run in an event's record.

use entity::notification::{MailReason, NotificationKind};
use entity::run::{FailureClass, Model, Outcome, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// All columns but those that only the run's worker uses.
#[derive(Serialize, Deserialize)]
pub struct RunRecord {
    id: Uuid,
    instance_id: Uuid,
    integration_key: String,
    trigger: Trigger,
    outcome: Option<Outcome>,
    number: i64,
    queued_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    seen: i64,
    added: i64,
    changed: i64,
    removed: i64,
    pages: i32,
    expected: Option<i64>,
    accept_removals: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    accept_growth: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_digest: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    new_baseline: bool,
    users_before: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting_for: Option<FailureClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting_until: Option<i64>,
    failure_class: Option<FailureClass>,
    failure_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    http_status: Option<i32>,
    lost: Value,
    missing_permissions: Value,
    mail_kind: Option<NotificationKind>,
    mail_reason: Option<MailReason>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<Model> for RunRecord {
    fn from(model: Model) -> Self {
        RunRecord {
            id: model.id,
            instance_id: model.instance_id,
            integration_key: model.integration_key,
            trigger: model.trigger,
            outcome: model.outcome,
            number: model.number,
            queued_at: model.queued_at,
            started_at: model.started_at,
            finished_at: model.finished_at,
            seen: model.seen,
            added: model.added,
            changed: model.changed,
            removed: model.removed,
            pages: model.pages,
            expected: model.expected,
            accept_removals: model.accept_removals,
            accept_growth: model.accept_growth,
            manifest_digest: model.manifest_digest,
            new_baseline: model.new_baseline,
            users_before: model.users_before,
            waiting_for: model.waiting_for,
            waiting_reason: model.waiting_reason,
            waiting_until: model.waiting_until,
            failure_class: model.failure_class,
            failure_message: model.failure_message,
            remark: model.remark,
            http_status: model.http_status,
            lost: model.lost,
            missing_permissions: model.missing_permissions,
            mail_kind: model.mail_kind,
            mail_reason: model.mail_reason,
        }
    }
}

impl From<RunRecord> for Model {
    fn from(record: RunRecord) -> Self {
        Model {
            id: record.id,
            instance_id: record.instance_id,
            integration_key: record.integration_key,
            trigger: record.trigger,
            outcome: record.outcome,
            number: record.number,
            queued_at: record.queued_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            seen: record.seen,
            added: record.added,
            changed: record.changed,
            removed: record.removed,
            pages: record.pages,
            expected: record.expected,
            accept_removals: record.accept_removals,
            accept_growth: record.accept_growth,
            manifest_digest: record.manifest_digest,
            new_baseline: record.new_baseline,
            users_before: record.users_before,
            listed: false,
            checkpoint: None,
            waiting_for: record.waiting_for,
            waiting_reason: record.waiting_reason,
            waiting_until: record.waiting_until,
            waits: 0,
            waited_ms: 0,
            looks: 0,
            failure_class: record.failure_class,
            failure_message: record.failure_message,
            remark: record.remark,
            http_status: record.http_status,
            lost: record.lost,
            missing_permissions: record.missing_permissions,
            mail_kind: record.mail_kind,
            mail_reason: record.mail_reason,
        }
    }
}
