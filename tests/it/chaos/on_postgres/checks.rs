//! What must hold after every round, checked in the database itself.

use std::collections::{BTreeMap, HashMap};

use entity::{event, instance};
use muster::instance::event::Event;
use sea_orm::{DbBackend, EntityTrait, IsolationLevel, Statement, TransactionTrait};
use serde_json::Value;

use super::stage::Stage;
use crate::peers::{Cluster, Smtp};

/// Queries that find a row only if a rule of instances is broken.
const RULES: [(&str, &str); 13] = [
    (
        "an instance has two active runs",
        "SELECT instance_id FROM sync_run WHERE outcome IS NULL GROUP BY instance_id HAVING count(*) > 1",
    ),
    (
        "an instance that is not live has an active run",
        "SELECT instance.id FROM sync_run JOIN instance ON instance.id = instance_id WHERE outcome IS NULL AND status <> 'live'",
    ),
    (
        "an active run has no job, or a job no run",
        "SELECT sync_run.id, job.id AS job FROM sync_run FULL JOIN (SELECT * FROM job WHERE kind = 'sync') job ON job.subject = sync_run.id
         WHERE (sync_run.outcome IS NULL) <> (job.id IS NOT NULL)",
    ),
    (
        "syncState and the active run differ",
        "SELECT id FROM instance WHERE (sync_state = 'idle') <> (current_run_id IS NULL)",
    ),
    ("inactiveReason and status differ", "SELECT id FROM instance WHERE (inactive_reason IS NULL) = (status = 'inactive')"),
    (
        "an instance is switched off by a run that did not say so",
        "SELECT instance.id, cause FROM instance LEFT JOIN LATERAL (SELECT cause FROM event WHERE instance_id = instance.id
            AND cause IN ('revoked', 'deactivated', 'reactivated') ORDER BY seq DESC LIMIT 1) last ON true
         WHERE (coalesce(cause, '') = 'revoked') <> (coalesce(inactive_reason, '') = 'token_inactive') AND status IN ('live', 'inactive')",
    ),
    (
        "an instance was switched off, and no mail says so",
        "SELECT id FROM instance WHERE inactive_reason = 'token_inactive'
         AND NOT EXISTS (SELECT 1 FROM sync_run WHERE id = last_run_id AND mail_kind IS NOT NULL)
         AND (SELECT mail_kind FROM sync_run WHERE instance_id = instance.id AND mail_kind IS NOT NULL
            ORDER BY number DESC LIMIT 1) IS DISTINCT FROM 'auto_revoked'",
    ),
    (
        "a run that did not succeed removed users",
        "SELECT id FROM sync_run WHERE outcome IN ('failed', 'cancelled') AND removed <> 0",
    ),
    (
        "a deleted instance has users",
        "SELECT instance_id FROM user_account JOIN instance ON instance.id = instance_id WHERE instance.status = 'deleted'",
    ),
    ("an instance has no event", "SELECT id FROM instance WHERE NOT EXISTS (SELECT 1 FROM event WHERE instance_id = instance.id)"),
    (
        "a mail that waits has no job, or a job no mail",
        "SELECT notification.id, job.id AS job FROM notification
         FULL JOIN (SELECT * FROM job WHERE kind = 'mail') job ON job.subject = notification.id
         WHERE (notification.state IS NOT DISTINCT FROM 'queued') <> (job.id IS NOT NULL)",
    ),
    (
        "an edge has no mail",
        "SELECT id FROM sync_run WHERE mail_reason = 'edge' AND NOT EXISTS (SELECT 1 FROM notification WHERE run_id = sync_run.id AND kind = mail_kind)",
    ),
    (
        "the register's own count of users is wrong",
        "SELECT id, user_count, stored FROM instance JOIN LATERAL (SELECT count(*) AS stored FROM user_account
         WHERE instance_id = instance.id AND removed_at IS NULL AND generation > purge_through) counted ON true
         WHERE status IN ('live', 'inactive') AND sync_state = 'idle' AND user_count <> stored",
    ),
];

/// Checks the rules.
pub async fn rules(cluster: &Cluster, faults: &mut Vec<String>) {
    for (rule, sql) in RULES {
        let found = cluster.rows(sql).await;
        if let Some(first) = found.first() {
            faults.push(format!("{rule}, {} times: {first}", found.len()));
        }
    }
    newest_events(cluster, faults).await;
    mail_order(cluster, faults).await;
}

/// The newest event of each instance shows what its row has.
async fn newest_events(cluster: &Cluster, faults: &mut Vec<String>) {
    let db = cluster.connect("muster").await.unwrap();
    // One snapshot of both tables: work that was carried over may go on meanwhile.
    let snapshot = db.begin_with_config(Some(IsolationLevel::RepeatableRead), None).await.unwrap();
    let newest = "SELECT DISTINCT ON (instance_id) * FROM event ORDER BY instance_id, seq DESC";
    let newest = event::Entity::find().from_raw_sql(Statement::from_string(DbBackend::Postgres, newest));
    let rows = instance::Entity::find().all(&snapshot).await.unwrap();
    let rows: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let shown = |instance: &instance::Model| {
        let instance::Model { name, status, sync_state, health, revision, current_run_id, user_count, .. } =
            instance.clone();
        (name, status, sync_state, health, revision, current_run_id, user_count)
    };
    for event in newest.all(&snapshot).await.unwrap() {
        let (seq, row) = (event.seq, &rows[&event.instance_id]);
        let event = Event::try_from(event).unwrap();
        if shown(&event.snapshot.instance) != shown(row) {
            faults.push(format!(
                "event {seq}, {:?}, and the instance differ: {:?}, {row:?}",
                event.cause, event.snapshot
            ));
        }
    }
    snapshot.commit().await.unwrap();
    db.close().await.unwrap();
}

/// Mails of an instance: one `INITIAL_*`, then failures and recoveries in turn. While it fails, it may be switched off
/// at most once without a mail about a failure.
async fn mail_order(cluster: &Cluster, faults: &mut Vec<String>) {
    let sql = "SELECT instance_id, mail_kind FROM sync_run WHERE mail_kind IS NOT NULL ORDER BY instance_id, number";
    let mut kinds = BTreeMap::<String, Vec<String>>::new();
    for row in cluster.rows(sql).await {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        kinds.entry(text("instance_id")).or_default().push(text("mail_kind"));
    }
    for (instance, kinds) in kinds {
        let mut told = "";
        for kind in &kinds {
            told = match (kind.as_str(), told) {
                ("initial_sync_succeeded", "") | ("sync_recovered", "failing" | "off") => "well",
                ("initial_sync_failed", "") | ("sync_failed", "well") => "failing",
                ("auto_revoked", "failing") => "off",
                _ => {
                    faults.push(format!("instance {instance} has mails in the order {kinds:?}"));
                    break;
                }
            };
        }
    }
}

/// The mail that has arrived so far.
#[derive(Default)]
pub struct Post {
    /// By Message-ID: the first copy, and the number of copies without an allowed cause.
    arrived: HashMap<String, (Value, usize)>,
    read: usize,
}

impl Post {
    pub fn distinct(&self) -> usize {
        self.arrived.len()
    }

    /// Reads the mail that arrived since the last call, and compares it with the ledger. With `complete`, no mail may be
    /// queued any more.
    pub async fn check(&mut self, stage: &Stage, complete: bool, faults: &mut Vec<String>) -> Looked {
        // In this order: a mail marked as sent now arrives before the mailbox is read, and a mail in the mailbox was
        // queued before the ledger is read again.
        let before = ledger(&stage.cluster).await;
        let copies = self.collect(&stage.smtp, faults).await;
        let after = ledger(&stage.cluster).await;
        for (id, (state, address)) in &before {
            match (state.as_str(), self.arrived.get(id)) {
                ("sent", None) => faults.push(format!("mail {id} is marked as sent and did not arrive")),
                ("queued", _) if complete => faults.push(format!("mail {id} still waits")),
                ("failed", _) => faults.push(format!("mail {id} was given up")),
                (_, Some((mail, _))) if mail["to"][0] != **address => {
                    faults.push(format!("mail {id} went to {}, not to {address}", mail["to"]));
                }
                _ => {}
            }
        }
        for id in self.arrived.keys().filter(|id| !after.contains_key(*id)) {
            faults.push(format!("mail {id} arrived and was never decided on"));
        }
        let dropped = after.iter().filter(|(id, (state, _))| state == "dropped" && self.arrived.contains_key(*id));
        Looked { copies, dropped_and_sent: dropped.count() }
    }

    /// Returns how many further copies of known mails arrived, without those for which the mail server withheld its
    /// reply.
    async fn collect(&mut self, smtp: &Smtp, faults: &mut Vec<String>) -> usize {
        let fresh = smtp.messages_from(self.read).await;
        self.read += fresh.len();
        let mut copies = 0;
        for message in fresh {
            let id = message["message_id"].as_str().unwrap_or_default().trim_matches(['<', '>']).to_owned();
            let withheld = usize::from(message["mode"] == "drop_after");
            let Some((first, excuses)) = self.arrived.get_mut(&id) else {
                self.arrived.insert(id, (message, withheld));
                continue;
            };
            if ["to", "subject", "text", "html", "in_reply_to"].iter().any(|part| first[part] != message[part]) {
                faults.push(format!("two mails of one Message-ID differ: {first} {message}"));
            }
            copies += usize::from(*excuses == 0);
            *excuses = excuses.saturating_sub(1) + withheld;
        }
        copies
    }
}

/// The result of comparing mail and ledger.
pub struct Looked {
    /// Mails that arrived again since the last call.
    pub copies: usize,
    /// All mails so far that were dropped by the ledger and arrived.
    pub dropped_and_sent: usize,
}

/// State and address of every mail that is sent on its own, by Message-ID.
async fn ledger(cluster: &Cluster) -> HashMap<String, (String, String)> {
    let rows = cluster.rows("SELECT message_id, state, address FROM notification WHERE state <> 'included'").await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "message_id"), (text(row, "state"), text(row, "address")))).collect()
}

/// Describes the work that is left; `None` if there is none. The flag is true if all of it waits for a lease to end.
pub async fn unrest(cluster: &Cluster) -> Option<(String, bool)> {
    let sql = "SELECT kind, count(*) AS jobs, count(*) FILTER (WHERE lease_until > 0) AS leased FROM job GROUP BY kind";
    let jobs = cluster.rows(sql).await;
    let purging = cluster.count("SELECT count(*) FROM instance WHERE purging OR status = 'deleting'").await;
    if jobs.is_empty() && purging == 0 {
        return None;
    }
    let leased = jobs.iter().all(|row| row["jobs"] == row["leased"]);
    Some((format!("{jobs:?}, {purging} purges"), leased))
}

/// Compares the users in the register with those in the application, for every rehearsal instance whose last change was
/// a complete run.
pub async fn users(cluster: &Cluster, faults: &mut Vec<String>) {
    let sql = "SELECT instance.name, run.number, (config->>'users')::bigint AS users, (config->>'churn_percent')::bigint AS churn, reported.ids
         FROM instance JOIN sync_run run ON run.id = last_run_id
         JOIN LATERAL (SELECT cause FROM event WHERE instance_id = instance.id AND cause NOT IN ('updated', 'deactivated', 'reactivated', 'sync_queued')
            ORDER BY seq DESC LIMIT 1) last ON cause IN ('sync_succeeded', 'sync_partial')
         JOIN LATERAL (SELECT array_agg(external_id) AS ids FROM user_account
            WHERE instance_id = instance.id AND removed_at IS NULL AND generation > purge_through) reported ON true
         WHERE instance.integration_key = 'rehearsal' AND instance.status IN ('live', 'inactive')";
    for row in cluster.rows(sql).await {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        let first = number("users") * number("churn") / 100 * (number("number") - 1);
        let held: Vec<_> = (first..first + number("users")).map(|place| format!("person-{place}")).collect();
        let mut reported: Vec<_> =
            row["ids"].as_array().into_iter().flatten().map(|id| id.as_str().unwrap().to_owned()).collect();
        reported.sort_by_key(|id| id.trim_start_matches("person-").parse::<i64>().unwrap_or(-1));
        if reported != held {
            faults.push(format!(
                "{}: reports {} users, the application holds {}",
                row["name"],
                reported.len(),
                held.len()
            ));
        }
    }
}

/// The findings of `muster doctor`.
pub fn doctor(stage: &Stage, faults: &mut Vec<String>) {
    let told = stage.replicas[0].home.run(&["doctor"]);
    if !told.status.success() {
        let text = [told.stdout, told.stderr].concat();
        faults.push(format!("doctor, {}: {}", told.status, String::from_utf8_lossy(&text)));
    }
}
