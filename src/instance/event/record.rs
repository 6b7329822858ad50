//! An event's record: the rows of the instance and of its runs right after the change, as JSON.
//!
//! The JSON has the names of the columns, so a column that is added later is an `Option` here
//! or has a default: events from before it do not have it.

use entity::instance::{Health, InactiveReason, Model, Status, SyncState};
use entity::run::{self, FailureClass};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::run_record::RunRecord;
use super::{Previous, Snapshot};
use crate::instance::standing::Standing;

#[derive(Serialize, Deserialize)]
pub struct Record {
    instance: InstanceRecord,
    last_run: Option<RunRecord>,
    current_run: Option<RunRecord>,
    before: Option<Previous>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stood: Option<Standing>,
}

/// All columns but the secrets.
#[derive(Serialize, Deserialize)]
struct InstanceRecord {
    id: Uuid,
    integration_key: String,
    name: String,
    name_key: String,
    status: Status,
    inactive_reason: Option<InactiveReason>,
    inactive_since: Option<i64>,
    sync_state: SyncState,
    health: Health,
    failing_since: Option<i64>,
    consecutive_failures: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure_class: Option<FailureClass>,
    revocation_mailed: bool,
    last_success_at: i64,
    tenant: Option<String>,
    created_by: String,
    created_by_email: Option<String>,
    created_at: i64,
    updated_at: i64,
    revision: i32,
    config: Value,
    credential_expires_at: Option<i64>,
    sync_interval_minutes: i32,
    next_sync_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_try_at: Option<i64>,
    user_count: i64,
    last_run_id: Option<Uuid>,
    current_run_id: Option<Uuid>,
    run_number: i64,
    purge_through: i64,
    purging: bool,
    purged_users: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_users: Option<i64>,
}

impl From<Snapshot> for Record {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot { instance, last_run, current_run, before, stood } = snapshot;
        Record {
            instance: instance.into(),
            last_run: last_run.map(RunRecord::from),
            current_run: current_run.map(RunRecord::from),
            before,
            stood,
        }
    }
}

impl From<Record> for Snapshot {
    fn from(record: Record) -> Self {
        let Record { instance, last_run, current_run, before, stood } = record;
        Snapshot {
            instance: instance.into(),
            last_run: last_run.map(run::Model::from),
            current_run: current_run.map(run::Model::from),
            before,
            stood,
        }
    }
}

impl From<Model> for InstanceRecord {
    fn from(model: Model) -> Self {
        InstanceRecord {
            id: model.id,
            integration_key: model.integration_key,
            name: model.name,
            name_key: model.name_key,
            status: model.status,
            inactive_reason: model.inactive_reason,
            inactive_since: model.inactive_since,
            sync_state: model.sync_state,
            health: model.health,
            failing_since: model.failing_since,
            consecutive_failures: model.consecutive_failures,
            failure_class: model.failure_class,
            revocation_mailed: model.revocation_mailed,
            last_success_at: model.last_success_at,
            tenant: model.tenant,
            created_by: model.created_by,
            created_by_email: model.created_by_email,
            created_at: model.created_at,
            updated_at: model.updated_at,
            revision: model.revision,
            config: model.config,
            credential_expires_at: model.credential_expires_at,
            sync_interval_minutes: model.sync_interval_minutes,
            next_sync_at: model.next_sync_at,
            next_try_at: model.next_try_at,
            user_count: model.user_count,
            last_run_id: model.last_run_id,
            current_run_id: model.current_run_id,
            run_number: model.run_number,
            purge_through: model.purge_through,
            purging: model.purging,
            purged_users: model.purged_users,
            manifest_digest: model.manifest_digest,
            known_users: model.known_users,
        }
    }
}

impl From<InstanceRecord> for Model {
    fn from(record: InstanceRecord) -> Self {
        Model {
            id: record.id,
            integration_key: record.integration_key,
            name: record.name,
            name_key: record.name_key,
            status: record.status,
            inactive_reason: record.inactive_reason,
            inactive_since: record.inactive_since,
            sync_state: record.sync_state,
            health: record.health,
            failing_since: record.failing_since,
            consecutive_failures: record.consecutive_failures,
            failure_class: record.failure_class,
            revocation_mailed: record.revocation_mailed,
            last_success_at: record.last_success_at,
            tenant: record.tenant,
            created_by: record.created_by,
            created_by_email: record.created_by_email,
            created_at: record.created_at,
            updated_at: record.updated_at,
            revision: record.revision,
            config: record.config,
            secrets: None,
            secrets_generation: 0,
            credential_expires_at: record.credential_expires_at,
            sync_interval_minutes: record.sync_interval_minutes,
            next_sync_at: record.next_sync_at,
            next_try_at: record.next_try_at,
            tries: 0,
            user_count: record.user_count,
            last_run_id: record.last_run_id,
            current_run_id: record.current_run_id,
            run_number: record.run_number,
            purge_through: record.purge_through,
            purging: record.purging,
            purged_users: record.purged_users,
            manifest_digest: record.manifest_digest,
            known_users: record.known_users,
        }
    }
}
