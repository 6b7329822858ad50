//! The checks that follow a sequence of rows: the event log, and the mails of an instance.

use std::collections::HashMap;

use entity::notification::NotificationKind;
use entity::run::Trigger;
use entity::{event, instance, run};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{Finding, MAX_FINDINGS, Report, Subject};
use crate::error::Result;
use crate::instance::event::{Previous, Snapshot};

/// How many instances are read at a time.
const INSTANCES: u64 = 200;
/// How many rows of a sequence are read at a time.
const ROWS: u64 = 1_000;

/// Columns that may change without an event.
const CHANGE_WITHOUT_EVENT: [&str; 3] = ["credential_expires_at", "next_sync_at", "purged_users"];

/// Checks that the newest event of each instance has its current state.
pub(super) async fn newest_events<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut found = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let models = instance::Entity::find()
            .filter(instance::Column::Id.gt(after))
            .order_by_asc(instance::Column::Id)
            .limit(INSTANCES)
            .all(conn)
            .await?;
        let Some(last) = models.last() else { break };
        after = last.id;
        let ids: Vec<Uuid> = models.iter().map(|model| model.id).collect();
        let mut newest = newest_of(conn, &ids).await?;
        for model in models {
            // The events of an instance that has not changed for long may have been pruned.
            let Some((seq, state)) = newest.remove(&model.id) else { continue };
            let row = serde_json::to_value(&model)?;
            let differing = differing(&state["instance"], &row);
            if !differing.is_empty() && found.len() <= MAX_FINDINGS {
                found.push(Finding {
                    check: "newest-event",
                    about: Subject::Instance,
                    id: Some(model.id),
                    wrong: format!("it differs from its newest event, number {seq}, in {}", differing.join(", ")),
                    remedy: "Change the instance (updateInstance): its next event has the right state. Until then, subscribers see a wrong one. Keep a backup and report it.",
                });
            }
        }
    }
    report.add("newest-event", "The newest event of an instance has its current state.", found);
    Ok(())
}

async fn newest_of<C: ConnectionTrait>(conn: &C, instances: &[Uuid]) -> Result<HashMap<Uuid, (i64, Value)>> {
    let mut numbers = Query::select();
    numbers
        .expr(Func::max(Expr::col(event::Column::Seq)))
        .from(event::Entity)
        .and_where(Expr::col(event::Column::InstanceId).is_in(instances.iter().copied()))
        .group_by_col(event::Column::InstanceId);
    let rows = event::Entity::find().filter(event::Column::Seq.in_subquery(numbers)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.instance_id, (row.seq, row.state))).collect())
}

/// The fields of an event that differ from the instance's row. Older events do not have
/// fields that were added later.
fn differing(event: &Value, row: &Value) -> Vec<String> {
    let Some(event) = event.as_object() else { return vec!["everything".into()] };
    let compared = event.iter().filter(|(name, _)| !CHANGE_WITHOUT_EVENT.contains(&name.as_str()));
    compared
        .filter(|(name, value)| row.get(name.as_str()).is_some_and(|row| row != *value))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The condition for rows after `place`, in the order of both columns.
fn after<T: ColumnTrait>(first: T, second: T, place: (Uuid, impl Into<sea_orm::Value>)) -> SimpleExpr {
    first.gt(place.0).or(first.eq(place.0).and(second.gt(place.1)))
}

/// Checks that each event begins in the state in which the previous one ended.
pub(super) async fn event_chain<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut found = Vec::new();
    let mut place = (Uuid::nil(), 0_i64);
    let mut known: Option<(Uuid, Previous)> = None;
    loop {
        let rows = event::Entity::find()
            .filter(after(event::Column::InstanceId, event::Column::Seq, place))
            .order_by_asc(event::Column::InstanceId)
            .order_by_asc(event::Column::Seq)
            .limit(ROWS)
            .all(conn)
            .await?;
        let Some(last) = rows.last() else { break };
        place = (last.instance_id, last.seq);
        for row in rows {
            let wrong = match serde_json::from_value::<Snapshot>(row.state) {
                Err(error) => Some(format!("event {} cannot be read: {error}", row.seq)),
                Ok(Snapshot { instance, before, .. }) => {
                    let previous = known.take().filter(|(id, _)| *id == row.instance_id).map(|(_, state)| state);
                    let breaks = previous.is_some() && before.is_some() && previous != before;
                    known = Some((
                        instance.id,
                        Previous { name: instance.name, status: instance.status, health: instance.health },
                    ));
                    if instance.id == row.instance_id {
                        breaks.then(|| {
                            format!("event {} does not begin in the state in which the previous one ended", row.seq)
                        })
                    } else {
                        Some(format!("event {} contains another instance", row.seq))
                    }
                }
            };
            if let Some(wrong) = wrong.filter(|_| found.len() <= MAX_FINDINGS) {
                found.push(Finding {
                    check: "event-chain",
                    about: Subject::Instance,
                    id: Some(row.instance_id),
                    wrong,
                    remedy: "An event is missing or was changed. Clients may have missed it: give the log a new epoch, see docs/operations.md, so that they start again from snapshots.",
                });
            }
        }
    }
    report.add("event-chain", "Each event of an instance begins in the state in which the previous one ended.", found);
    Ok(())
}

/// The state of an instance according to its mails so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MailState {
    /// There was no mail yet.
    NoMail,
    /// The first mails were pruned.
    Unknown,
    Healthy,
    /// `revoked`: a mail said that the server set the instance inactive.
    Failing {
        revoked: bool,
    },
}

impl MailState {
    /// The state after a mail of this kind; `None` if this kind is not allowed now.
    fn after(self, kind: NotificationKind) -> Option<Self> {
        use MailState::{Failing, Healthy, NoMail, Unknown};
        use NotificationKind as Kind;
        match (self, kind) {
            (NoMail | Unknown, Kind::InitialSyncSucceeded) => Some(Healthy),
            (NoMail | Unknown, Kind::InitialSyncFailed) | (Healthy | Unknown, Kind::SyncFailed) => {
                Some(Failing { revoked: false })
            }
            (Failing { .. } | Unknown, Kind::SyncRecovered) => Some(Healthy),
            (Failing { revoked: false } | Unknown, Kind::AutoRevoked) => Some(Failing { revoked: true }),
            _ => None,
        }
    }
}

/// Checks the order of the mails of each instance.
pub(super) async fn mail_order<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut found: Vec<Finding> = Vec::new();
    let mut place = (Uuid::nil(), Uuid::nil());
    let mut state = MailState::NoMail;
    loop {
        let rows: Vec<(Uuid, Uuid, Trigger, Option<NotificationKind>)> = run::Entity::find()
            .select_only()
            .columns([run::Column::InstanceId, run::Column::Id, run::Column::Trigger, run::Column::MailKind])
            .filter(after(run::Column::InstanceId, run::Column::Id, place))
            .filter(run::Column::MailKind.is_not_null().or(run::Column::Trigger.eq(Trigger::Initial)))
            .order_by_asc(run::Column::InstanceId)
            .order_by_asc(run::Column::Id)
            .limit(ROWS)
            .into_tuple()
            .all(conn)
            .await?;
        if rows.is_empty() {
            break;
        }
        for (instance, run, trigger, kind) in rows {
            if place.0 != instance {
                state = if trigger == Trigger::Initial { MailState::NoMail } else { MailState::Unknown };
            }
            place = (instance, run);
            let Some(kind) = kind else { continue };
            if let Some(next) = state.after(kind) {
                state = next;
                continue;
            }
            state = MailState::Unknown;
            if found.len() <= MAX_FINDINGS {
                found.push(Finding {
                    check: "mail-order",
                    about: Subject::Run,
                    id: Some(run),
                    wrong: format!("its mail ({kind:?}) must not follow the previous mails"),
                    remedy: "A mail was sent twice, or is missing. Keep a backup and report it.",
                });
            }
        }
    }
    let promise = "The mails of an instance are one about its initial sync, then alternating failures and recoveries, and at most one revocation between two recoveries.";
    report.add("mail-order", promise, found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use NotificationKind::{AutoRevoked, InitialSyncFailed, InitialSyncSucceeded, SyncFailed, SyncRecovered};

    use super::*;

    #[test]
    fn the_order_of_mails_is_checked_even_if_the_first_ones_are_unknown() {
        let holds =
            |from, kinds: &[_]| kinds.iter().try_fold(from, |state: MailState, kind| state.after(*kind)).is_some();
        assert!(holds(MailState::NoMail, &[InitialSyncFailed, AutoRevoked, SyncRecovered, SyncFailed, SyncRecovered]));
        assert!(holds(MailState::Unknown, &[SyncRecovered, SyncFailed, AutoRevoked]));
        for wrong in [
            &[SyncFailed][..],
            &[InitialSyncSucceeded, InitialSyncSucceeded],
            &[InitialSyncSucceeded, SyncRecovered],
            &[InitialSyncFailed, SyncFailed],
            &[InitialSyncFailed, AutoRevoked, AutoRevoked],
        ] {
            assert!(!holds(MailState::NoMail, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn only_fields_that_an_event_has_are_compared() {
        let event = serde_json::json!({ "name": "A", "purged_users": 3 });
        let row = serde_json::json!({ "name": "A", "purged_users": 9, "new": 1 });
        assert!(differing(&event, &row).is_empty());
        assert_eq!(differing(&event, &serde_json::json!({ "name": "B" })), ["name"]);
        assert_eq!(differing(&Value::Null, &row), ["everything"]);
    }
}
