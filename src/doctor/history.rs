//! The checks that follow a sequence of rows: the event log, and the mails of an instance.

use std::collections::HashMap;

use entity::notification::NotificationKind;
use entity::run::Trigger;
use entity::{event, instance, run};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{Finding, MAX_FINDINGS, Report, Subject};
use crate::error::Result;
use crate::instance::event::{Event, Previous, Snapshot};

/// How many instances are read at a time.
const INSTANCES: u64 = 200;
/// How many rows of a sequence are read at a time.
const ROWS: u64 = 1_000;

/// Columns that may change without an event, one that older events do not have, and the secrets, which events never
/// contain.
const CHANGE_WITHOUT_EVENT: [&str; 7] = [
    "credential_expires_at",
    "failure_class",
    "next_sync_at",
    "purged_users",
    "secrets",
    "secrets_generation",
    "tries",
];

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
            let Some(row) = newest.remove(&model.id) else { continue };
            let seq = row.seq;
            let differing = match Event::try_from(row) {
                Ok(event) => differing(&event.snapshot.instance, &model),
                Err(_) => vec!["everything"],
            };
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

async fn newest_of<C: ConnectionTrait>(conn: &C, instances: &[Uuid]) -> Result<HashMap<Uuid, event::Model>> {
    let mut numbers = Query::select();
    numbers
        .expr(Func::max(Expr::col(event::Column::Seq)))
        .from(event::Entity)
        .and_where(Expr::col(event::Column::InstanceId).is_in(instances.iter().copied()))
        .group_by_col(event::Column::InstanceId);
    let rows = event::Entity::find().filter(event::Column::Seq.in_subquery(numbers)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.instance_id, row)).collect())
}

/// The columns in which an event differs from the instance's row.
fn differing(event: &instance::Model, row: &instance::Model) -> Vec<&'static str> {
    let compared = instance::Column::iter().filter(|column| !CHANGE_WITHOUT_EVENT.contains(&column.as_str()));
    let differs = |column: &instance::Column| match column {
        // The order of its keys says nothing.
        instance::Column::Config => event.config != row.config,
        _ => event.get(*column) != row.get(*column),
    };
    compared.filter(differs).map(|column| column.as_str()).collect()
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
            let (seq, instance_id) = (row.seq, row.instance_id);
            let wrong = match Event::try_from(row) {
                Err(error) => Some(format!("event {seq} cannot be read: {error}")),
                Ok(Event { snapshot: Snapshot { instance, before, .. }, .. }) => {
                    let previous = known.take().filter(|(id, _)| *id == instance_id).map(|(_, state)| state);
                    let breaks = previous.zip(before).is_some_and(|(end, before)| !before.follows(&end));
                    known = Some((instance.id, Previous::of(&instance)));
                    if instance.id == instance_id {
                        breaks
                            .then(|| format!("event {seq} does not begin in the state in which the previous one ended"))
                    } else {
                        Some(format!("event {seq} contains another instance"))
                    }
                }
            };
            if let Some(wrong) = wrong.filter(|_| found.len() <= MAX_FINDINGS) {
                found.push(Finding {
                    check: "event-chain",
                    about: Subject::Instance,
                    id: Some(instance_id),
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
            (_, Kind::Unknown) => Some(Unknown),
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

    fn instance(name: &str, purged_users: i64) -> instance::Model {
        instance::Model {
            id: Uuid::nil(),
            integration_key: "okta".into(),
            name: name.into(),
            name_key: name.to_lowercase(),
            status: instance::Status::Live,
            inactive_reason: None,
            inactive_since: None,
            sync_state: instance::SyncState::Idle,
            health: instance::Health::Ok,
            failing_since: None,
            consecutive_failures: 0,
            failure_class: None,
            revocation_mailed: false,
            last_success_at: 1,
            tenant: None,
            created_by: "ada".into(),
            created_by_email: None,
            created_at: 1,
            updated_at: 1,
            revision: 1,
            config: serde_json::json!({}),
            secrets: None,
            secrets_generation: 0,
            credential_expires_at: None,
            sync_interval_minutes: 60,
            next_sync_at: None,
            next_try_at: None,
            tries: 0,
            user_count: 0,
            last_run_id: None,
            current_run_id: None,
            run_number: 1,
            purge_through: -1,
            purging: false,
            purged_users,
            manifest_digest: None,
            known_users: None,
        }
    }

    #[test]
    fn columns_that_may_change_without_an_event_are_not_compared() {
        let event = instance("A", 3);
        assert!(differing(&event, &instance("A", 9)).is_empty());
        let row = instance::Model { secrets: Some(vec![1]), credential_expires_at: Some(5), ..event.clone() };
        assert!(differing(&event, &row).is_empty());
        assert_eq!(differing(&event, &instance("B", 3)), ["name", "name_key"]);
    }
}
