//! The checks that follow a history: of the event log, and of the mails of an instance.

use std::collections::HashMap;

use entity::notification::NotificationKind;
use entity::run::Trigger;
use entity::{event, instance, run};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SimpleExpr};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{Finding, Report, TOLD, Thing};
use crate::error::Result;
use crate::instance::event::{Previous, Snapshot};

/// How many instances are looked at together.
const INSTANCES: u64 = 200;
/// How many rows of a history are looked at together.
const ROWS: u64 = 1_000;

/// What may change without an event.
const UNTOLD: [&str; 3] = ["credential_expires_at", "next_sync_at", "purged_users"];

/// Replaying the log gives the current state.
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
            // Of an instance to which nothing happened for long, the log tells nothing any more.
            let Some((seq, state)) = newest.remove(&model.id) else { continue };
            let row = serde_json::to_value(&model)?;
            let differing = differing(&state["instance"], &row);
            if !differing.is_empty() && found.len() <= TOLD {
                found.push(Finding {
                    check: "newest-event",
                    about: Thing::Instance,
                    id: Some(model.id),
                    wrong: format!("it differs from its newest event, number {seq}, in {}", differing.join(", ")),
                    remedy: "Change the instance (updateInstance): its next event tells the state as it is. Clients that watch had another one. Keep a backup and report it.",
                });
            }
        }
    }
    report.add("newest-event", "The newest event of an instance tells its state.", found);
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

/// The fields that an event has of an instance and that differ from the row's. Events from
/// before there was a field do not have it.
fn differing(told: &Value, row: &Value) -> Vec<String> {
    let Some(told) = told.as_object() else { return vec!["everything".into()] };
    let told = told.iter().filter(|(name, _)| !UNTOLD.contains(&name.as_str()));
    told.filter(|(name, value)| row.get(name.as_str()).is_some_and(|row| row != *value))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The condition for rows after a place in the order of both columns.
fn after<T: ColumnTrait>(first: T, second: T, place: (Uuid, impl Into<sea_orm::Value>)) -> SimpleExpr {
    first.gt(place.0).or(first.eq(place.0).and(second.gt(place.1)))
}

/// Every event begins where the one before it has ended.
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
                        breaks.then(|| format!("event {} does not begin where the one before it ended", row.seq))
                    } else {
                        Some(format!("event {} tells of another instance", row.seq))
                    }
                }
            };
            if let Some(wrong) = wrong.filter(|_| found.len() <= TOLD) {
                found.push(Finding {
                    check: "event-chain",
                    about: Thing::Instance,
                    id: Some(row.instance_id),
                    wrong,
                    remedy: "An event is missing or was changed. Clients may have missed it: give the log a new epoch, as docs/operations.md says, so that they are told everything anew.",
                });
            }
        }
    }
    report.add("event-chain", "Each event of an instance begins in the state in which the one before it ended.", found);
    Ok(())
}

/// What the mails of an instance have told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing yet.
    Nothing,
    /// Its beginning was pruned.
    Unknown,
    Well,
    /// With whether the server said that it switched the instance off.
    Failing {
        revoked: bool,
    },
}

impl Told {
    /// What they have told after one of this kind; `None` if it must not come now.
    fn then(self, kind: NotificationKind) -> Option<Self> {
        use NotificationKind as Kind;
        use Told::{Failing, Nothing, Unknown, Well};
        match (self, kind) {
            (Nothing | Unknown, Kind::InitialSyncSucceeded) => Some(Well),
            (Nothing | Unknown, Kind::InitialSyncFailed) | (Well | Unknown, Kind::SyncFailed) => {
                Some(Failing { revoked: false })
            }
            (Failing { .. } | Unknown, Kind::SyncRecovered) => Some(Well),
            (Failing { revoked: false } | Unknown, Kind::AutoRevoked) => Some(Failing { revoked: true }),
            _ => None,
        }
    }
}

/// The kinds of mail that the outcomes of an instance called for come in their order.
pub(super) async fn mail_order<C: ConnectionTrait>(conn: &C, report: &mut Report) -> Result<()> {
    let mut found: Vec<Finding> = Vec::new();
    let mut place = (Uuid::nil(), Uuid::nil());
    let mut told = Told::Nothing;
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
                told = if trigger == Trigger::Initial { Told::Nothing } else { Told::Unknown };
            }
            place = (instance, run);
            let Some(kind) = kind else { continue };
            if let Some(next) = told.then(kind) {
                told = next;
                continue;
            }
            told = Told::Unknown;
            if found.len() <= TOLD {
                found.push(Finding {
                    check: "mail-order",
                    about: Thing::Run,
                    id: Some(run),
                    wrong: format!("its outcome called for a mail ({kind:?}) that must not follow those before it"),
                    remedy: "Somebody was told twice, or not at all. Keep a backup and report it.",
                });
            }
        }
    }
    let promise = "The mails of an instance are one about its initial sync, then failures and recoveries by turns, and at most one revocation between two recoveries.";
    report.add("mail-order", promise, found);
    Ok(())
}

#[cfg(test)]
mod tests {
    use NotificationKind::{AutoRevoked, InitialSyncFailed, InitialSyncSucceeded, SyncFailed, SyncRecovered};

    use super::*;

    #[test]
    fn mails_come_in_an_order_whose_beginning_may_be_unknown() {
        let holds = |from, kinds: &[_]| kinds.iter().try_fold(from, |told: Told, kind| told.then(*kind)).is_some();
        assert!(holds(Told::Nothing, &[InitialSyncFailed, AutoRevoked, SyncRecovered, SyncFailed, SyncRecovered]));
        assert!(holds(Told::Unknown, &[SyncRecovered, SyncFailed, AutoRevoked]));
        for wrong in [
            &[SyncFailed][..],
            &[InitialSyncSucceeded, InitialSyncSucceeded],
            &[InitialSyncSucceeded, SyncRecovered],
            &[InitialSyncFailed, SyncFailed],
            &[InitialSyncFailed, AutoRevoked, AutoRevoked],
        ] {
            assert!(!holds(Told::Nothing, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_an_event_has_is_compared() {
        let told = serde_json::json!({ "name": "A", "purged_users": 3 });
        let row = serde_json::json!({ "name": "A", "purged_users": 9, "new": 1 });
        assert!(differing(&told, &row).is_empty());
        assert_eq!(differing(&told, &serde_json::json!({ "name": "B" })), ["name"]);
        assert_eq!(differing(&Value::Null, &row), ["everything"]);
    }
}
