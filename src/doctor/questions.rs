//! The checks that are one statement each: it selects what is wrong.
//!
//! The SQL is the same on both databases but where it says so. A row is an id and a text.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{Finding, TOLD, Thing};
use crate::error::Result;
use crate::keep::{Retention, cutoff};

/// How long a lease may have run out, in milliseconds: twice its length.
const LATE_MS: i64 = 60_000;
/// How long a job may be due while nobody works, in milliseconds.
const UNCLAIMED_MS: i64 = 120_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// A check that is one statement.
pub(super) struct Question {
    pub name: &'static str,
    /// What must hold.
    pub promise: &'static str,
    about: Thing,
    remedy: &'static str,
    sql: String,
}

impl Question {
    pub(super) async fn ask<C: ConnectionTrait>(&self, conn: &C) -> Result<Vec<Finding>> {
        let sql = format!("SELECT id, wrong FROM ({}) AS found LIMIT {}", self.sql, TOLD + 1);
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

const OURS: &str = "This should not be possible. Keep a backup of the database as it is and report it.";
const SET_AGAIN: &str =
    "Set the instance inactive and live again (updateInstance). Keep a backup of the database as it was and report it.";
const WAIT: &str = "It mends itself with the next sync. If it stays, keep a backup and report it.";

/// The statements, for one database, with the times that they compare with.
pub(super) fn all(backend: DbBackend, retention: Retention, now: i64) -> Vec<Question> {
    let mails_from = cutoff(retention.mails, now).map_or(i64::MIN, |end| end.saturating_add(DAY_MS));
    let (late, unclaimed, tomorrow) = (now - LATE_MS, now - UNCLAIMED_MS, now + DAY_MS);
    let ask = |name, promise, about, remedy, sql: &str| Question {
        name,
        promise,
        about,
        remedy,
        sql: sql
            .replace("{now}", &now.to_string())
            .replace("{late}", &late.to_string())
            .replace("{unclaimed}", &unclaimed.to_string())
            .replace("{tomorrow}", &tomorrow.to_string())
            .replace("{mails_from}", &mails_from.to_string()),
    };
    let mut all: Vec<Question> = QUESTIONS
        .iter()
        .map(|(name, promise, about, remedy, sql)| ask(*name, *promise, *about, *remedy, sql))
        .collect();
    let numbers = if backend == DbBackend::Postgres { NUMBERS_ON_POSTGRES } else { NUMBERS_ON_SQLITE };
    all.push(ask(
        "event-numbers",
        "Events are numbered from 1 on, and the next one gets a higher number than all before.",
        Thing::Event,
        "Events were deleted, or the numbering was set back. Clients may have missed something: restore a backup, or give the log a new epoch, as docs/operations.md says.",
        numbers,
    ));
    all
}

/// SQLite numbers without a gap; what a transaction that failed has drawn is drawn again.
const NUMBERS_ON_SQLITE: &str = "
    SELECT NULL AS id, 'there are ' || n || ' events from number ' || lo || ' to ' || hi AS wrong
    FROM (SELECT COUNT(*) AS n, MIN(seq) AS lo, MAX(seq) AS hi FROM event) AS log
    WHERE n > 0 AND (n <> hi - lo + 1 OR lo < 1)
    UNION ALL
    SELECT NULL, 'the newest event has number ' || hi || ', and the next one would not get a higher one'
    FROM (SELECT MAX(seq) AS hi FROM event) AS log
    WHERE hi > COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)";

/// PostgreSQL leaves out the numbers of transactions that failed.
const NUMBERS_ON_POSTGRES: &str = "
    SELECT NULL::uuid AS id, 'the newest event has number ' || hi || ', and the next one would not get a higher one' AS wrong
    FROM (SELECT MAX(seq) AS hi, MIN(seq) AS lo FROM event) AS log
    WHERE hi > COALESCE(pg_sequence_last_value(pg_get_serial_sequence('event', 'seq')::regclass), 0) OR lo < 1";

type Row = (&'static str, &'static str, Thing, &'static str, &'static str);

const QUESTIONS: &[Row] = &[
    (
        "instance-inactive",
        "An instance has a reason and a time of inactivity exactly when it is inactive.",
        Thing::Instance,
        SET_AGAIN,
        "SELECT id, 'it is ' || status || ', with the reason ' || COALESCE(inactive_reason, 'none') AS wrong
        FROM instance WHERE (status = 'inactive') <> (inactive_reason IS NOT NULL)
            OR (status = 'inactive') <> (inactive_since IS NOT NULL)",
    ),
    (
        "instance-health",
        "An instance counts its failures exactly while it is failing, and knows its last success unless it is pending.",
        Thing::Instance,
        WAIT,
        "SELECT id, 'its health is ' || health || ', with ' || CAST(consecutive_failures AS TEXT) || ' failures in a row' AS wrong
        FROM instance WHERE (health = 'failing') <> (failing_since IS NOT NULL)
            OR (health = 'failing') <> (consecutive_failures > 0)
            OR (health IN ('ok', 'partial') AND last_success_at = 0) OR (health = 'pending' AND last_success_at <> 0)
            OR (revocation_mailed = TRUE AND health <> 'failing')",
    ),
    (
        "instance-sync",
        "An instance has a current run exactly when it is not idle, and only while it is live.",
        Thing::Instance,
        SET_AGAIN,
        "SELECT id, 'it is ' || status || ' and ' || sync_state ||
            CASE WHEN current_run_id IS NULL THEN ', without a current run' ELSE ', with a current run' END AS wrong
        FROM instance WHERE (sync_state = 'idle') <> (current_run_id IS NULL)
            OR (sync_state <> 'idle' AND status <> 'live')",
    ),
    (
        "instance-schedule",
        "An instance has a time for its next sync exactly when it is live and idle.",
        Thing::Instance,
        "Sync the instance once (syncInstance), or set it inactive again if it is inactive.",
        "SELECT id, 'it is ' || status || ' and ' || sync_state ||
            CASE WHEN next_sync_at IS NULL THEN ', and no sync is due' ELSE ', and a sync is due' END AS wrong
        FROM instance WHERE (status = 'live' AND sync_state = 'idle') <> (next_sync_at IS NOT NULL)",
    ),
    (
        "current-run",
        "The current run of an instance is one of its own that is open, and has started exactly when the instance says so.",
        Thing::Instance,
        SET_AGAIN,
        "SELECT i.id, 'its current run ' || CASE WHEN r.id IS NULL THEN 'is not there'
            WHEN r.instance_id <> i.id THEN 'is of another instance' WHEN r.outcome IS NOT NULL THEN 'has ended'
            ELSE 'is not ' || i.sync_state END AS wrong
        FROM instance i LEFT JOIN sync_run r ON r.id = i.current_run_id
        WHERE i.current_run_id IS NOT NULL AND (r.id IS NULL OR r.instance_id <> i.id OR r.outcome IS NOT NULL
            OR (i.sync_state = 'running') <> (r.started_at IS NOT NULL)
            OR (i.sync_state = 'running' AND r.number <> i.run_number))",
    ),
    (
        "last-run",
        "The last run of an instance is one of its own that has ended.",
        Thing::Instance,
        WAIT,
        "SELECT i.id, 'its last run ' || CASE WHEN r.id IS NULL THEN 'is not there'
            WHEN r.instance_id <> i.id THEN 'is of another instance' ELSE 'has not ended' END AS wrong
        FROM instance i LEFT JOIN sync_run r ON r.id = i.last_run_id
        WHERE i.last_run_id IS NOT NULL AND (r.id IS NULL OR r.instance_id <> i.id OR r.outcome IS NULL)",
    ),
    (
        "sync-job",
        "A run that is current has a job.",
        Thing::Instance,
        "Nobody carries the run out. Cancel it (cancelSync) and sync again.",
        "SELECT i.id, 'its current run has no job' AS wrong FROM instance i
        WHERE i.current_run_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'sync' AND j.subject = i.current_run_id)",
    ),
    (
        "open-run",
        "A run that has not ended is the current run of its instance.",
        Thing::Run,
        OURS,
        "SELECT r.id, 'it has no outcome, and its instance does not have it as its current run' AS wrong
        FROM sync_run r WHERE r.outcome IS NULL
            AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = r.instance_id AND i.current_run_id = r.id)",
    ),
    (
        "run-outcome",
        "A run has an end and a decision about mail exactly when it has an outcome.",
        Thing::Run,
        OURS,
        "SELECT id, 'its outcome is ' || COALESCE(outcome, 'none') || ', its decision about mail ' ||
            COALESCE(mail_reason, 'none') AS wrong
        FROM sync_run WHERE (outcome IS NULL) <> (finished_at IS NULL) OR (outcome IS NULL) <> (mail_reason IS NULL)",
    ),
    (
        "removals",
        "A run that did not succeed removed nobody.",
        Thing::Run,
        "Sync the instance: whoever the application lists is there again. Keep a backup and report it.",
        "SELECT id, 'its outcome is ' || COALESCE(outcome, 'none') || ', and it removed ' || CAST(removed AS TEXT) || ' users' AS wrong
        FROM sync_run WHERE removed > 0 AND (outcome IS NULL OR outcome NOT IN ('succeeded', 'partial'))
        UNION ALL
        SELECT r.id, 'its outcome is ' || COALESCE(r.outcome, 'none') || ', and its changes have users that it removed'
        FROM (SELECT DISTINCT run_id FROM user_change WHERE kind = 'removed') c JOIN sync_run r ON r.id = c.run_id
        WHERE r.removed = 0 AND (r.outcome IS NULL OR r.outcome NOT IN ('succeeded', 'partial'))",
    ),
    (
        "job-subject",
        "A job is about something that is there and still to be done.",
        Thing::Job,
        "A worker finds nothing to do and removes the job. If it stays, no worker is running.",
        "SELECT j.subject AS id, j.kind || ' job ' || CAST(j.id AS TEXT) || ' is about something that is not there, or is done' AS wrong
        FROM job j
        WHERE (j.kind = 'sync' AND NOT EXISTS (SELECT 1 FROM sync_run r WHERE r.id = j.subject AND r.outcome IS NULL))
            OR (j.kind = 'purge' AND NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = j.subject))
            OR (j.kind = 'mail' AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.id = j.subject AND n.state = 'queued'))",
    ),
    (
        "job-lease",
        "A job that a worker holds is renewed or taken over within a minute.",
        Thing::Job,
        "No worker is alive: start `muster serve`, or look at the log of those that run.",
        // 1: a server that starts has let it run out, and somebody will take it in its turn.
        "SELECT subject AS id, kind || ' job ' || CAST(id AS TEXT) || ': the lease of its worker has run out, and nobody took it over' AS wrong
        FROM job j WHERE lease_until > 1 AND lease_until < {late}
        -- Workers that live may be busy with others of the kind.
        AND NOT EXISTS (SELECT 1 FROM job other WHERE other.kind = j.kind AND other.lease_until >= {late})",
    ),
    (
        "clock",
        "Nothing is held, or due, absurdly far ahead.",
        Thing::Database,
        "A clock is wrong, or was when it was written. Set it right: workers mend the rest within a minute or two. If the finding stays, none is running.",
        "SELECT subject AS id, kind || ' job ' || CAST(id AS TEXT) || ' is held or due only in days' AS wrong
        FROM job WHERE lease_until > {tomorrow} OR run_at > {tomorrow}
        UNION ALL
        SELECT id, 'the next sync of the instance is due only after more than two intervals' FROM instance
        WHERE next_sync_at > {tomorrow} + CAST(sync_interval_minutes AS BIGINT) * 120000
        UNION ALL
        SELECT instance_id, 'the grant of the instance is held for days' FROM oauth_grant WHERE lease_until > {tomorrow}",
    ),
    (
        "workers",
        "Where jobs are due, somebody works.",
        Thing::Job,
        "Start a process with workers (`muster serve` or `muster serve --workers`), or look into the log of the one that runs.",
        "SELECT subject AS id, 'a job of the kind ' || kind || ' is due for more than two minutes, and nobody works on any' AS wrong
        FROM job j WHERE lease_until <= {now} AND run_at < {unclaimed}
            AND NOT EXISTS (SELECT 1 FROM job k WHERE k.kind = j.kind AND k.lease_until > {now})",
    ),
    (
        "deleting",
        "An instance that is being deleted has no credential left, and its users are being removed.",
        Thing::Instance,
        OURS,
        "SELECT id, 'it is being deleted, and ' || CASE WHEN purging = FALSE THEN 'its users are not being removed'
            ELSE 'a credential is left' END AS wrong
        FROM instance i WHERE status = 'deleting' AND (secrets IS NOT NULL OR purging = FALSE
            OR EXISTS (SELECT 1 FROM oauth_grant g WHERE g.instance_id = i.id))",
    ),
    (
        "deleted",
        "An instance that was deleted has no credential and no users.",
        Thing::Instance,
        OURS,
        "SELECT id, 'it was deleted, and a credential or users are left' AS wrong
        FROM instance i WHERE status = 'deleted' AND (secrets IS NOT NULL OR user_count <> 0
            OR EXISTS (SELECT 1 FROM oauth_grant g WHERE g.instance_id = i.id)
            OR EXISTS (SELECT 1 FROM user_account u WHERE u.instance_id = i.id))",
    ),
    (
        "purge-job",
        "Users of an instance are being removed exactly when there is a job for it.",
        Thing::Instance,
        "Delete the users, or the instance, once more. If the finding stays, keep a backup and report it.",
        "SELECT i.id, CASE WHEN i.purging = TRUE THEN 'its users are being removed, and there is no job for it'
            ELSE 'there is a job that removes its users, and they are not being removed' END AS wrong
        FROM instance i
        WHERE i.purging <> EXISTS (SELECT 1 FROM job j WHERE j.kind = 'purge' AND j.subject = i.id)",
    ),
    (
        "user-count",
        "The number of users of an idle instance is that of its register.",
        Thing::Instance,
        "Set user_count in its row of the table instance to what the register has, and sync it. Keep a backup and report it.",
        "SELECT i.id, 'it says ' || CAST(i.user_count AS TEXT) || ' users, and the register has ' ||
            CAST(COALESCE(c.users, 0) AS TEXT) AS wrong
        FROM instance i LEFT JOIN (SELECT u.instance_id, COUNT(*) AS users FROM user_account u
            JOIN instance p ON p.id = u.instance_id
            WHERE u.removed_at IS NULL AND u.generation > p.purge_through GROUP BY u.instance_id) c ON c.instance_id = i.id
        WHERE i.sync_state = 'idle' AND i.user_count <> COALESCE(c.users, 0)",
    ),
    (
        "duplicate-users",
        "An account of an application stands in the register once.",
        Thing::Instance,
        "The unique index is damaged or gone: restore a backup, or rebuild ux_user_external after removing the doubles.",
        "SELECT instance_id AS id, 'one of its accounts is there ' || CAST(COUNT(*) AS TEXT) || ' times' AS wrong
        FROM user_account GROUP BY instance_id, external_id HAVING COUNT(*) > 1",
    ),
    (
        "grants",
        "A grant belongs to an instance.",
        Thing::Instance,
        "A credential of nobody is stored: delete its row from oauth_grant.",
        "SELECT g.instance_id AS id, 'there is a grant of it, and it is not there' AS wrong FROM oauth_grant g
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = g.instance_id)",
    ),
    (
        "orphans",
        "Users, runs and events belong to an instance.",
        Thing::Instance,
        OURS,
        "SELECT o.instance_id AS id, 'it is not there, and has ' || o.what AS wrong
        FROM (SELECT DISTINCT instance_id, 'users' AS what FROM user_account
            UNION ALL SELECT DISTINCT instance_id, 'runs' FROM sync_run
            UNION ALL SELECT DISTINCT instance_id, 'events' FROM event) o
        WHERE NOT EXISTS (SELECT 1 FROM instance i WHERE i.id = o.instance_id)",
    ),
    (
        "mail-jobs",
        "A mail that waits has a job.",
        Thing::Mail,
        "Nobody will send it. Keep a backup and report it; a test mail tells whether others go out.",
        "SELECT n.id, 'it waits, and there is no job that sends it' AS wrong FROM notification n
        WHERE n.state = 'queued' AND NOT EXISTS (SELECT 1 FROM job j WHERE j.kind = 'mail' AND j.subject = n.id)",
    ),
    (
        "mail-decisions",
        "A run whose outcome called for a mail has one, and no mail is without such a run.",
        Thing::Run,
        "If mails were kept for a shorter time before, it may have been pruned. Otherwise keep a backup and report it.",
        "SELECT r.id, 'its outcome called for a mail (' || r.mail_kind || '), and there is none' AS wrong FROM sync_run r
        WHERE r.mail_reason = 'edge' AND r.mail_kind IS NOT NULL AND r.finished_at >= {mails_from}
            AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.run_id = r.id AND n.kind = r.mail_kind)
        UNION
        SELECT r.id, 'there is a mail about it (' || n.kind || ') that its outcome did not call for'
        FROM notification n JOIN sync_run r ON r.id = n.run_id
        WHERE r.mail_reason IS NULL OR r.mail_reason <> 'edge' OR r.mail_kind IS NULL OR r.mail_kind <> n.kind",
    ),
];
