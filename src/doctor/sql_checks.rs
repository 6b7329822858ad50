//! The checks that consist of one SQL statement, which selects the violations.
//!
//! A statement returns an `id` and a text `wrong` for each violation. Unless noted, it is the
//! same on both databases.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::installation::Schema;
use super::{Finding, MAX_FINDINGS, Report, Subject};
use super::{door_checks, finding_checks, people_checks, spend_checks, webhook_checks};
use crate::auth::{links, sessions};
use crate::clock::DAY_MS;
use crate::error::Result;
use crate::maintenance::retention::{Retention, cutoff};

/// How long ago a lease may have expired, in milliseconds: twice its length.
const EXPIRED_LEASE_MS: i64 = 60_000;
/// How long a job may be due while no worker is active, in milliseconds.
const UNCLAIMED_MS: i64 = 120_000;
const HOUR_MS: i64 = 3_600_000;

/// A check that consists of one SQL statement.
pub(super) struct SqlCheck {
    pub name: &'static str,
    /// The rule that must hold.
    pub promise: &'static str,
    about: Subject,
    remedy: &'static str,
    sql: String,
}

impl SqlCheck {
    pub(super) async fn run<C: ConnectionTrait>(&self, conn: &C) -> Result<Vec<Finding>> {
        let sql = format!("SELECT id, wrong FROM ({}) AS found LIMIT {}", self.sql, MAX_FINDINGS + 1);
        let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
        rows.iter()
            .map(|row| {
                Ok(Finding {
                    check: self.name,
                    about: self.about,
                    id: row.try_get("", "id")?,
                    wrong: row.try_get("", "wrong")?,
                    remedy: self.remedy,
                })
            })
            .collect()
    }
}

const REPORT_BUG: &str = "This should not be possible. Keep a backup of the database as it is and report it.";
const SET_LIVE_AGAIN: &str =
    "Set the instance inactive and live again (updateInstance). Keep a backup of the database as it was and report it.";
const WAIT_FOR_SYNC: &str = "The next sync corrects it. If the finding stays, keep a backup and report it.";

/// All checks for one database. Placeholders such as `{now}` are replaced by times.
pub(super) fn all(backend: DbBackend, retention: Retention, now: i64, schema: Schema) -> Vec<SqlCheck> {
    let mails_from = cutoff(retention.mails, now).map_or(i64::MIN, |end| end.saturating_add(DAY_MS));
    let (late, unclaimed, tomorrow) = (now - EXPIRED_LEASE_MS, now - UNCLAIMED_MS, now + DAY_MS);
    let check = |name, promise, about, remedy, sql: &str| SqlCheck {
        name,
        promise,
        about,
        remedy,
        sql: sql
            .replace("{now}", &now.to_string())
            .replace("{late}", &late.to_string())
            .replace("{unclaimed}", &unclaimed.to_string())
            .replace("{tomorrow}", &tomorrow.to_string())
            .replace("{hour}", &HOUR_MS.to_string())
            .replace("{day}", &DAY_MS.to_string())
            .replace("{idle}", &sessions::IDLE_MS.to_string())
            .replace("{session}", &sessions::LIFE_MS.to_string())
            .replace("{link}", &links::LIFE_MS.to_string())
            .replace("{mails_from}", &mails_from.to_string()),
    };
    let mut all: Vec<SqlCheck> = CHECKS
        .iter()
        .chain(door_checks::CHECKS)
        .chain(people_checks::CHECKS)
        .chain(spend_checks::CHECKS)
        .chain(finding_checks::CHECKS)
        .chain(webhook_checks::CHECKS)
        .map(|(name, promise, about, remedy, sql)| check(*name, *promise, *about, *remedy, sql))
        .collect();
    // A newer version may know more.
    if schema == Schema::Current {
        all.push(check(
            "known-values",
            "Every kind, state and role is one that this version knows.",
            Subject::Database,
            "What reads such a row fails. If a newer version has used this database, go on with that one. Otherwise restore a backup.",
            &door_checks::unknown_values(),
        ));
    }
    let numbers = if backend == DbBackend::Postgres { NUMBERS_ON_POSTGRES } else { NUMBERS_ON_SQLITE };
    let (name, promise, remedy) = spend_checks::COUNTS;
    all.push(check(name, promise, Subject::Instance, remedy, &spend_checks::recount(backend)));
    all.push(check(
        "event-numbers",
        "Events are numbered from 1, and the next event gets a higher number than all existing ones.",
        Subject::Event,
        "Events were deleted, or the sequence was reset. Clients may have missed something: restore a backup, or give the log a new epoch, see docs/operations.md.",
        numbers,
    ));
    all
}

/// Notes the values that a newer version wrote where this one reads each value that it does not know.
pub(super) async fn newer_values<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let sql = format!("{} LIMIT {MAX_FINDINGS}", door_checks::newer_values());
    for row in conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await? {
        let wrong: String = row.try_get("", "wrong")?;
        report.notes.push(format!("{wrong}, which this version does not know: a newer Muster wrote it"));
    }
    Ok(())
}

/// SQLite numbers events without gaps, because a failed transaction returns its numbers.
const NUMBERS_ON_SQLITE: &str = "
    SELECT NULL AS id, 'there are ' || n || ' events from number ' || lo || ' to ' || hi AS wrong
    FROM (SELECT COUNT(*) AS n, MIN(seq) AS lo, MAX(seq) AS hi FROM event) AS log
    WHERE n > 0 AND (n <> hi - lo + 1 OR lo < 1)
    UNION ALL
    SELECT NULL, 'the newest event has number ' || hi || ', but the next one would not get a higher number'
    FROM (SELECT MAX(seq) AS hi FROM event) AS log
    WHERE hi > COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)";

/// On PostgreSQL a failed transaction leaves a gap.
const NUMBERS_ON_POSTGRES: &str = "
    SELECT NULL::uuid AS id, 'the newest event has number ' || hi || ', but the next one would not get a higher number' AS wrong
    FROM (SELECT MAX(seq) AS hi, MIN(seq) AS lo FROM event) AS log
    WHERE hi > COALESCE(pg_sequence_last_value(pg_get_serial_sequence('event', 'seq')::regclass), 0) OR lo < 1";

/// Name, promise, subject, remedy and statement.
pub(super) type Row = (&'static str, &'static str, Subject, &'static str, &'static str);

const CHECKS: &[Row] = &[
    (
        "instance-inactive",
        "An instance has a reason and a time of inactivity if and only if it is inactive.",
        Subject::Instance,
        SET_LIVE_AGAIN,
        "SELECT id, 'it is ' || status || ', with the reason ' || COALESCE(inactive_reason, 'none') AS wrong
        FROM instance WHERE (status = 'inactive') <> (inactive_reason IS NOT NULL)
            OR (status = 'inactive') <> (inactive_since IS NOT NULL)",
    ),
    (
        "instance-health",
        "An instance counts failures only while it is failing, and has a last success if its health is OK or PARTIAL.",
        Subject::Instance,
        WAIT_FOR_SYNC,
        "SELECT id, 'its health is ' || health || ', with ' || CAST(consecutive_failures AS TEXT) || ' failures in a row' AS wrong
        FROM instance WHERE (health = 'failing') <> (failing_since IS NOT NULL)
            OR (health = 'failing') <> (consecutive_failures > 0)
            OR (health IN ('ok', 'partial') AND last_success_at = 0) OR (health = 'pending' AND last_success_at <> 0)
            OR (revocation_mailed = TRUE AND health <> 'failing')",
    ),
    (
        "instance-sync",
        "An instance has a current run if and only if it is not idle, and only while it is live.",
        Subject::Instance,
        SET_LIVE_AGAIN,
        "SELECT id, 'it is ' || status || ' and ' || sync_state ||
            CASE WHEN current_run_id IS NULL THEN ', without a current run' ELSE ', with a current run' END AS wrong
        FROM instance WHERE (sync_state = 'idle') <> (current_run_id IS NULL)
            OR (sync_state <> 'idle' AND status <> 'live')",
    ),
    (
        "instance-schedule",
        "An instance has a time for its next sync if and only if it is live and idle, and nothing is awaited that was never delivered.",
        Subject::Instance,
        "Sync the instance once (syncInstance), or set it inactive again if it is inactive.",
        "SELECT id, 'it is ' || status || ' and ' || sync_state ||
            CASE WHEN next_sync_at IS NULL THEN ', and no sync is due' ELSE ', and a sync is due' END AS wrong
        FROM instance WHERE (status = 'live' AND sync_state = 'idle') <> (next_sync_at IS NOT NULL)
            AND NOT (integration_key = 'list' AND last_run_id IS NULL AND next_sync_at IS NULL)",
    ),
    (
        "current-run",
        "The current run of an instance belongs to it, has no outcome, and has started if and only if the instance is running.",
        Subject::Instance,
        SET_LIVE_AGAIN,
        "SELECT i.id, 'its current run ' || CASE WHEN r.id IS NULL THEN 'does not exist'
            WHEN r.instance_id <> i.id THEN 'belongs to another instance' WHEN r.outcome IS NOT NULL THEN 'has ended'
            ELSE 'is not ' || i.sync_state END AS wrong
        FROM instance i LEFT JOIN sync_run r ON r.id = i.current_run_id
        WHERE i.current_run_id IS NOT NULL AND (r.id IS NULL OR r.instance_id <> i.id OR r.outcome IS NOT NULL
            OR (i.sync_state = 'running') <> (r.started_at IS NOT NULL)
            OR (i.sync_state = 'running' AND r.number <> i.run_number))",
    ),
    (
        "last-run",
        "The last run of an instance belongs to it and has ended.",
        Subject::Instance,
        WAIT_FOR_SYNC,
        "SELECT i.id, 'its last run ' || CASE WHEN r.id IS NULL THEN 'does not exist'
            WHEN r.instance_id <> i.id THEN 'belongs to another instance' ELSE 'has not ended' END AS wrong
        FROM instance i LEFT JOIN sync_run r ON r.id = i.last_run_id
        WHERE i.last_run_id IS NOT NULL AND (r.id IS NULL OR r.instance_id <> i.id OR r.outcome IS NULL)",
    ),
    (
        "sync-job",
        "A current run has a job.",
        Subject::Instance,
        "No worker will execute the run. Cancel it (cancelSync) and sync again.",
        "SELECT i.id, 'its current run has no job' AS wrong FROM instance i
        WHERE i.current_run_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'sync' AND j.subject = i.current_run_id)",
    ),
    (
        "open-run",
        "A run that has not ended is the current run of its instance.",
        Subject::Run,
        REPORT_BUG,
        "SELECT r.id, 'it has no outcome, and its instance does not have it as its current run' AS wrong
        FROM sync_run r WHERE r.outcome IS NULL
            AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = r.instance_id AND i.current_run_id = r.id)",
    ),
    (
        "run-outcome",
        "A run has an end and a mail decision if and only if it has an outcome.",
        Subject::Run,
        REPORT_BUG,
        "SELECT id, 'its outcome is ' || COALESCE(outcome, 'none') || ', its mail decision ' ||
            COALESCE(mail_reason, 'none') AS wrong
        FROM sync_run WHERE (outcome IS NULL) <> (finished_at IS NULL) OR (outcome IS NULL) <> (mail_reason IS NULL)",
    ),
    (
        "removals",
        "A run that did not succeed removed nobody.",
        Subject::Run,
        "Sync the instance: everybody whom the application lists is added again. Keep a backup and report it.",
        "SELECT id, 'its outcome is ' || COALESCE(outcome, 'none') || ', and it removed ' || CAST(removed AS TEXT) || ' users' AS wrong
        FROM sync_run WHERE removed > 0 AND (outcome IS NULL OR outcome NOT IN ('succeeded', 'partial'))
        UNION ALL
        SELECT r.id, 'its outcome is ' || COALESCE(r.outcome, 'none') || ', but its changes list removed users'
        FROM (SELECT DISTINCT run_id FROM user_change WHERE kind = 'removed') c JOIN sync_run r ON r.id = c.run_id
        WHERE r.removed = 0 AND (r.outcome IS NULL OR r.outcome NOT IN ('succeeded', 'partial'))",
    ),
    (
        "job-subject",
        "The subject of a job exists and still needs work.",
        Subject::Job,
        "A worker finds nothing to do and removes the job. If the finding stays, no worker is running.",
        "SELECT j.subject AS id, j.kind || ' job ' || CAST(j.id AS TEXT) || ' has a subject that does not exist, or is done' AS wrong
        FROM job j
        WHERE (j.kind = 'sync' AND NOT EXISTS (SELECT 1 FROM sync_run r WHERE r.id = j.subject AND r.outcome IS NULL))
            OR (j.kind = 'tally' AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = j.subject))
            OR (j.kind = 'webhook' AND NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = j.subject))
            OR (j.kind = 'purge' AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = j.subject))
            OR (j.kind = 'recovery' AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = j.subject AND i.next_try_at IS NOT NULL))
            OR (j.kind = 'mail' AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.id = j.subject AND n.state = 'queued'))",
    ),
    (
        "job-lease",
        "A job that a worker holds is renewed or taken over within a minute.",
        Subject::Job,
        "No worker is running: start `muster serve`, or read the log of the running one.",
        // 1: a starting server has expired the lease, and a worker will claim the job.
        "SELECT subject AS id, kind || ' job ' || CAST(id AS TEXT) || ': the lease of its worker has expired, and no other worker took the job over' AS wrong
        FROM job j WHERE lease_until > 1 AND lease_until < {late}
        -- The living workers may be busy with other jobs of this kind.
        AND NOT EXISTS (SELECT 1 FROM job other WHERE other.kind = j.kind AND other.lease_until >= {late})",
    ),
    (
        "clock",
        "No lease ends, and nothing is due, later than it can be.",
        Subject::Database,
        "A clock is wrong, or was wrong when the row was written. Correct it: workers then correct the rows within two minutes. If the finding stays, no worker is running.",
        "SELECT subject AS id, kind || ' job ' || CAST(id AS TEXT) || ' is leased or scheduled for more than a day' AS wrong
        FROM job WHERE lease_until > {tomorrow} OR run_at > {tomorrow}
        UNION ALL
        SELECT id, 'the next sync of the instance is more than two intervals away' FROM instance
        WHERE next_sync_at > {tomorrow} + CAST(sync_interval_minutes AS BIGINT) * 120000
        UNION ALL
        SELECT instance_id, 'the grant of the instance is leased for more than a day' FROM oauth_grant WHERE lease_until > {tomorrow}",
    ),
    (
        "workers",
        "While jobs are due, a worker is active.",
        Subject::Job,
        "Start a process with workers (`muster serve` or `muster serve --workers`), or read the log of the running one.",
        "SELECT subject AS id, 'a ' || kind || ' job has been due for more than two minutes, and no worker is active' AS wrong
        FROM job j WHERE lease_until <= {now} AND run_at < {unclaimed}
            AND NOT EXISTS (SELECT 1 FROM job k WHERE k.kind = j.kind AND k.lease_until > {now})",
    ),
    (
        "deleting",
        "An instance that is being deleted has no credential, and its users are being removed.",
        Subject::Instance,
        REPORT_BUG,
        "SELECT id, 'it is being deleted, but ' || CASE WHEN purging = FALSE THEN 'its users are not being removed'
            ELSE 'it still has a credential' END AS wrong
        FROM instance i WHERE status = 'deleting' AND (secrets IS NOT NULL OR purging = FALSE
            OR EXISTS (SELECT 1 FROM oauth_grant g WHERE g.instance_id = i.id))",
    ),
    (
        "deleted",
        "A deleted instance has no credential and no users.",
        Subject::Instance,
        REPORT_BUG,
        "SELECT id, 'it was deleted, but still has a credential or users' AS wrong
        FROM instance i WHERE status = 'deleted' AND (secrets IS NOT NULL OR user_count <> 0
            OR EXISTS (SELECT 1 FROM oauth_grant g WHERE g.instance_id = i.id)
            OR EXISTS (SELECT 1 FROM user_account u WHERE u.instance_id = i.id))",
    ),
    (
        "purge-job",
        "Users of an instance are being removed if and only if there is a purge job.",
        Subject::Instance,
        "Delete the users, or the instance, once more. If the finding stays, keep a backup and report it.",
        "SELECT i.id, CASE WHEN i.purging = TRUE THEN 'its users are being removed, but there is no purge job'
            ELSE 'it has a purge job, but its users are not being removed' END AS wrong
        FROM instance i
        WHERE i.purging <> EXISTS (SELECT 1 FROM job j WHERE j.kind = 'purge' AND j.subject = i.id)",
    ),
    (
        "user-count",
        "The user count of an idle instance equals its number of user rows.",
        Subject::Instance,
        "Set instance.user_count to the number of user rows, and sync the instance. Keep a backup and report it.",
        "SELECT i.id, 'it says ' || CAST(i.user_count AS TEXT) || ' users, but there are ' ||
            CAST(COALESCE(c.users, 0) AS TEXT) || ' user rows' AS wrong
        FROM instance i LEFT JOIN (SELECT u.instance_id, COUNT(*) AS users FROM user_account u
            JOIN instance p ON p.id = u.instance_id
            WHERE u.removed_at IS NULL AND u.generation > p.purge_through GROUP BY u.instance_id) c ON c.instance_id = i.id
        WHERE i.sync_state = 'idle' AND i.user_count <> COALESCE(c.users, 0)",
    ),
    (
        "duplicate-users",
        "An account has only one user row.",
        Subject::Instance,
        "The unique index is damaged or missing: restore a backup, or rebuild ux_user_external after removing the duplicates.",
        "SELECT instance_id AS id, 'one of its accounts has ' || CAST(COUNT(*) AS TEXT) || ' rows' AS wrong
        FROM user_account GROUP BY instance_id, external_id HAVING COUNT(*) > 1",
    ),
    (
        "grants",
        "A grant belongs to an instance.",
        Subject::Instance,
        "This stored credential belongs to no instance: delete its row from oauth_grant.",
        "SELECT g.instance_id AS id, 'it has a grant, but does not exist' AS wrong FROM oauth_grant g
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = g.instance_id)",
    ),
    (
        "orphans",
        "Users, runs, events and the states of capabilities belong to an instance.",
        Subject::Instance,
        REPORT_BUG,
        "SELECT o.instance_id AS id, 'it does not exist, but has ' || o.what AS wrong
        FROM (SELECT DISTINCT instance_id, 'users' AS what FROM user_account
            UNION ALL SELECT DISTINCT instance_id, 'runs' FROM sync_run
            UNION ALL SELECT DISTINCT instance_id, 'states of capabilities' FROM capability_state
            UNION ALL SELECT DISTINCT instance_id, 'events' FROM event) o
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = o.instance_id)",
    ),
    (
        "mail-jobs",
        "A queued mail has a job.",
        Subject::Mail,
        "It will not be sent. Keep a backup and report it; send a test mail to see whether other mails are sent.",
        "SELECT n.id, 'it is queued, but there is no job that sends it' AS wrong FROM notification n
        WHERE n.state = 'queued' AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'mail' AND j.subject = n.id)",
    ),
    (
        "mail-decisions",
        "There is a mail for a run if and only if the run's mail decision was to send one.",
        Subject::Run,
        "If mails used to be kept for a shorter time, it may have been pruned. Otherwise keep a backup and report it.",
        "SELECT r.id, 'its mail decision was ' || r.mail_kind || ', but there is no such mail' AS wrong FROM sync_run r
        WHERE r.mail_reason = 'edge' AND r.mail_kind IS NOT NULL AND r.finished_at >= {mails_from}
            AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.run_id = r.id AND n.kind = r.mail_kind)
        UNION
        SELECT r.id, 'there is a mail (' || n.kind || ') about it, but its mail decision was different'
        FROM notification n JOIN sync_run r ON r.id = n.run_id
        WHERE r.mail_reason IS NULL OR r.mail_reason <> 'edge' OR r.mail_kind IS NULL OR r.mail_kind <> n.kind",
    ),
];
