//! Retention: removes rows that are older than the settings allow.
//!
//! The oldest rows go first, in small transactions with a pause between them, so that
//! readers and syncs never wait for long. Each table's own module has the statement that
//! prunes it; [`Pruner::run_once`] goes through all of them. A round with nothing to
//! remove costs one short transaction per table. A round that is interrupted does no
//! harm: the next one removes the rest. Several replicas may prune at the same time.
//!
//! **Never removed**, however old: the newest event (so that the cursors of a quiet log
//! stay valid), the last and the current run of an instance, queued mails, and all data of
//! a run in progress. The event log is only removed from its beginning, so it has no gaps.
//! A deleted instance's row is removed once its last run and its last event are.
//!
//! **Ages** are measured by a clock that does not follow jumps of the wall clock
//! ([`SteadyClock`]).

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::auth::{attempts, links, sessions};
use crate::clock::{DAY_MS, SteadyClock, id_at};
use crate::config::Settings;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::notification::history;
use crate::{audit, directory, events, findings, instance, oidc, webhook};

/// How many rows one transaction removes at most.
const BATCH: u64 = 500;
/// The pause between two transactions, which leaves the database to others.
const PAUSE: Duration = Duration::from_millis(50);

/// For how many days each kind of row is kept; 0 means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Also the messages to webhooks.
    pub events: u32,
    pub runs: u32,
    /// The changes that runs made to single users, which are the history of the users, and closed findings.
    pub changes: u32,
    pub mails: u32,
    /// Users that their application no longer lists.
    pub removed_users: u32,
    pub audit: u32,
    /// The names and addresses in the audit log.
    pub audit_names: u32,
}

impl Retention {
    pub fn of(settings: &Settings) -> Self {
        Self {
            events: settings.keep_events_days,
            runs: settings.keep_runs_days,
            changes: settings.keep_changes_days,
            mails: settings.keep_mails_days,
            removed_users: settings.keep_removed_users_days,
            audit: settings.keep_audit_days,
            audit_names: settings.keep_audit_names_days,
        }
    }
}

/// Rows from before this time (Unix milliseconds) are removed; `None` if they are kept for ever.
pub fn cutoff(days: u32, now: i64) -> Option<i64> {
    (days > 0).then(|| now.saturating_sub(i64::from(days).saturating_mul(DAY_MS)))
}

/// The smallest id of this time. Ids of runs and mails increase with time.
fn first_id(ms: i64) -> Uuid {
    id_at(ms, &[0; 10])
}

/// Removes what is older than the settings allow.
#[derive(Clone)]
pub struct Pruner {
    pub db: Db,
    pub age_clock: SteadyClock,
    pub retention: Retention,
}

impl Pruner {
    /// Prunes every table once, or until `stop`.
    pub async fn run_once(&self, stop: &CancellationToken) {
        let now = self.age_clock.now();
        let Retention { events: keep_events, runs, changes, mails, removed_users, audit: keep_audit, audit_names } =
            self.retention;
        let run_end = cutoff(runs, now);
        if let Some(end) = cutoff(keep_events, now) {
            self.prune("events", stop, async |tx| events::prune(&tx, end, BATCH).await).await;
            self.prune("finding_changes", stop, async |tx| events::findings::prune(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(keep_events, now).map(first_id) {
            self.prune("deliveries", stop, async |tx| webhook::prune::deliveries(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(changes, now) {
            self.prune("changes", stop, async |tx| directory::prune::changes(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(changes, now) {
            self.prune("findings", stop, async |tx| findings::prune::closed(&tx, end, BATCH).await).await;
        }
        if let Some(end) = run_end.map(first_id) {
            self.prune("runs", stop, async |tx| instance::prune::runs(&tx, end, BATCH).await).await;
        }
        if let Some(end) = run_end {
            self.prune("instances", stop, async |tx| instance::prune::tombstones(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(mails, now).map(first_id) {
            self.prune("mails", stop, async |tx| history::prune(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(removed_users, now) {
            self.prune("removed_users", stop, async |tx| directory::prune::removed(&tx, end, now, BATCH).await).await;
        }
        if let Some(end) = cutoff(keep_audit, now) {
            self.prune("audit", stop, async |tx| audit::prune(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(audit_names, now) {
            self.prune("audit_names", stop, async |tx| audit::erase::expired(&tx, end, BATCH).await).await;
        }
        self.prune("erased_accounts", stop, async |tx| directory::erased::prune(&tx, BATCH).await).await;
        self.prune("lists", stop, async |tx| instance::list::prune(&tx, now, BATCH).await).await;
        self.prune("attempts", stop, async |tx| attempts::prune(&tx, now, BATCH).await).await;
        self.prune("sessions", stop, async |tx| sessions::prune(&tx, now).await).await;
        self.prune("links", stop, async |tx| links::prune(&tx, now).await).await;
        self.prune("sign_ins", stop, async |tx| oidc::forget_expired(&tx, now).await).await;
    }

    /// Removes batches until there is nothing left to remove.
    async fn prune<W>(&self, kind: &'static str, stop: &CancellationToken, batch: impl Fn(Tx) -> W)
    where
        W: Future<Output = Result<u64>>,
    {
        let mut removed = 0;
        while !stop.is_cancelled() {
            match self.db.write(&batch).await {
                Ok(0) => break,
                Ok(rows) => {
                    metrics::counter!("muster_pruned_rows_total", "kind" => kind).increment(rows);
                    removed += rows;
                }
                Err(error) => {
                    warn!(kind, error = %error.chain(), "expired rows could not be removed; trying again later");
                    break;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if removed > 0 {
            info!(kind, rows = removed, "expired rows were removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Builder;

    use super::*;

    #[test]
    fn the_first_id_of_a_time_sorts_before_its_ids_and_after_all_earlier_ones() {
        let id = |ms, rest| Builder::from_unix_timestamp_millis(ms, &[rest; 10]).into_uuid();
        assert!(first_id(5_000) <= id(5_000, 0) && first_id(5_000) < id(5_000, 1));
        assert!(id(4_999, u8::MAX) < first_id(5_000));
        assert!(first_id(-1) < id(1, 0));
    }

    #[test]
    fn zero_days_keep_rows_for_ever() {
        assert_eq!(cutoff(0, i64::MAX), None);
        assert_eq!(cutoff(2, 10 * DAY_MS), Some(8 * DAY_MS));
    }
}
