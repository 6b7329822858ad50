//! Keeping: what is forgotten after its time, and how all of it is copied and put back.
//!
//! **Retention** removes what is older than the settings say, oldest first, in small
//! transactions with a pause between them, so that nobody who reads or syncs waits for
//! it. Each table is pruned by the code beside it; [`Keeper::round`] goes through them
//! all, and costs one short transaction per table when there is nothing to remove. It is cut anywhere
//! without harm: what was not removed is removed in the next round. Several replicas may
//! do it at once.
//!
//! **Never removed**, however old: the newest event (so that the cursors of a quiet log
//! stay valid), the last and the current run of an instance, mails that wait, anything of
//! a run that goes on. The event log is removed from its beginning only, so what remains
//! has no gap. A deleted instance is forgotten when its last run and its last event are.
//!
//! **Ages** go by a clock that a jump of the wall clock does not move ([`Steady`]).
//!
//! **[`backup`] and [`restore`]** are SQLite's; PostgreSQL has its own tools. A copy is
//! made beside the running server. What is put back replaces the database in one step:
//! cut at any point, there is either the old one or the new one.
//!
//! [`Steady`]: crate::clock::Steady

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clock::{Steady, id_at};
use crate::config::Settings;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::notification::ledger;
use crate::{audit, directory, events, instance};

pub mod backup;
mod file;
pub mod restore;

/// How many rows one transaction removes.
const BATCH: u64 = 500;
/// How long others have the database to themselves after each.
const PAUSE: Duration = Duration::from_millis(50);
const DAY_MS: i64 = 24 * 3_600_000;

/// For how long things are kept, in days; 0 keeps them for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub events: u32,
    pub runs: u32,
    /// What runs changed about single users; no longer than the runs themselves.
    pub changes: u32,
    pub mails: u32,
    /// Users that are no longer listed.
    pub removed_users: u32,
    pub audit: u32,
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
        }
    }
}

/// The end of the time that is pruned, in Unix milliseconds; `None` when things are kept for good.
pub fn cutoff(days: u32, now: i64) -> Option<i64> {
    (days > 0).then(|| now.saturating_sub(i64::from(days).saturating_mul(DAY_MS)))
}

/// The least id that can have been made at this time: ids of runs and mails rise with time.
fn first_id(ms: i64) -> Uuid {
    id_at(ms, &[0; 10])
}

/// Removes what is older than the settings say.
#[derive(Clone)]
pub struct Keeper {
    pub db: Db,
    pub ages: Steady,
    pub retention: Retention,
}

impl Keeper {
    /// Goes once through everything that ages, until `stop`.
    pub async fn round(&self, stop: &CancellationToken) {
        let now = self.ages.now();
        let Retention { events: keep_events, runs, changes, mails, removed_users, audit: keep_audit } = self.retention;
        let run_end = cutoff(runs, now);
        // What a run changed cannot be asked for without the run.
        let change_end = cutoff(changes, now).max(run_end);
        if let Some(end) = cutoff(keep_events, now) {
            self.prune("events", stop, async |tx| events::prune(&tx, end, BATCH).await).await;
        }
        if let Some(end) = change_end.map(first_id) {
            self.prune("changes", stop, async |tx| directory::prune::changes(&tx, end, BATCH).await).await;
        }
        if let Some(end) = run_end.map(first_id) {
            self.prune("runs", stop, async |tx| instance::prune::runs(&tx, end, BATCH).await).await;
        }
        if let Some(end) = run_end {
            self.prune("instances", stop, async |tx| instance::prune::tombstones(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(mails, now).map(first_id) {
            self.prune("mails", stop, async |tx| ledger::prune(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(removed_users, now) {
            self.prune("removed_users", stop, async |tx| directory::prune::removed(&tx, end, BATCH).await).await;
        }
        if let Some(end) = cutoff(keep_audit, now) {
            self.prune("audit", stop, async |tx| audit::prune(&tx, end, BATCH).await).await;
        }
    }

    /// Removes batch after batch, until there are no more.
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
                    warn!(kind, error = %error, "what is past its time could not be removed; trying again later");
                    break;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if removed > 0 {
            info!(kind, rows = removed, "rows that are past their time were removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Builder;

    use super::*;

    #[test]
    fn the_first_id_of_a_time_stands_before_every_id_of_it_and_after_those_before_it() {
        let id = |ms, rest| Builder::from_unix_timestamp_millis(ms, &[rest; 10]).into_uuid();
        assert!(first_id(5_000) <= id(5_000, 0) && first_id(5_000) < id(5_000, 1));
        assert!(id(4_999, u8::MAX) < first_id(5_000));
        assert!(first_id(-1) < id(1, 0));
    }

    #[test]
    fn nothing_is_past_its_time_when_it_is_kept_for_good() {
        assert_eq!(cutoff(0, i64::MAX), None);
        assert_eq!(cutoff(2, 10 * DAY_MS), Some(8 * DAY_MS));
    }
}
