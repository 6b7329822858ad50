//! Decides which messages a webhook gets, from the events after the last one about which it was decided, and from what
//! evaluations have changed between them.

use std::collections::{BTreeSet, HashMap};

use entity::event::Cause;
use entity::webhook::{self, State};
use entity::webhook_delivery::{ActiveModel, Column, Entity, State as DeliveryState};
use entity::{finding_change, instance, webhook_alert};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use tracing::warn;
use uuid::Uuid;

use super::kind::{Family, family};
use super::notice::{self, Notice};
use super::send::Sender;
use super::wanted::{Wanted, first_position};
use super::{alerts, chat, payload, queries};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::events::findings;
use crate::instance::event::Event;
use crate::notification::compose::Brief;
use crate::queue::{self, Claim};

/// How many events are looked at in one transaction.
const EVENTS_AT_ONCE: usize = 64;
/// The same of changes of findings.
const CHANGES_AT_ONCE: u64 = 64;
/// How many rows one statement stores.
pub(super) const ROWS_AT_ONCE: usize = 500;
/// How many deliveries wait for one webhook at most. Beyond that, the events wait in the log.
const MOST_QUEUED: u64 = 5_000;

/// How far planning has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// There is nothing to decide at the moment.
    UpToDate,
    /// There may be more.
    More,
    /// Another worker has the job.
    Lost,
}

/// Up to where it is decided.
#[derive(Clone, Copy)]
struct Through {
    event: i64,
    /// The place of a change of findings.
    finding: i64,
}

/// What was decided.
#[derive(Default)]
pub(super) struct Decided {
    pub deliveries: Vec<ActiveModel>,
    /// Alerts that are open now, or report another state.
    pub opened: Vec<webhook_alert::ActiveModel>,
    /// Instances whose alerts are no longer open.
    pub closed: Vec<Uuid>,
}

impl Sender {
    /// Decides about the next events.
    pub(super) async fn plan(&self, claim: &Claim, hook: &webhook::Model) -> Result<Planned> {
        if queries::has_queued(self.db.read(), hook.id, MOST_QUEUED).await? {
            return Ok(Planned::UpToDate);
        }
        let Some(mut entries) = self.log.after(hook.decided_through, EVENTS_AT_ONCE).await? else {
            let through = Through { event: self.skip(hook).await?, finding: hook.findings_through };
            return self.store(claim, hook, through, Decided::default()).await;
        };
        // A failure and the switching off that it causes are told together. They were written together.
        if let Some(last) = entries.last()
            && let Some(failed) = last.event.as_ref().filter(|event| event.cause == Cause::SyncFailed)
            && let Some(next) = self.log.after(last.seq, 1).await?.and_then(|next| next.into_iter().next())
            && notice::is_superseded(failed, next.event.as_deref())
        {
            entries.push(next);
        }
        let mut event = entries.last().map_or(hook.decided_through, |last| last.seq);
        let mut changes = Vec::new();
        if hook.finding_changes {
            // Those before the next event, which may be known and not decided yet.
            let before = first_position(event + 1);
            changes = findings::between(self.db.read(), hook.findings_through, before, CHANGES_AT_ONCE).await?;
        }
        if let Some(last) = changes.last()
            && changes.len() as u64 == CHANGES_AT_ONCE
        {
            // There may be more. Events after them wait for them.
            entries.retain(|entry| first_position(entry.seq) < last.place);
            event = entries.last().map_or(hook.decided_through, |last| last.seq);
        }
        if entries.is_empty() && changes.is_empty() {
            return Ok(Planned::UpToDate);
        }
        let through = Through { event, finding: changes.last().map_or(hook.findings_through, |last| last.place) };
        // An event that cannot be read was reported when the log was read.
        let events: Vec<&Event> = entries.iter().filter_map(|entry| entry.event.as_deref()).collect();
        let decided = match family(hook.kind) {
            Family::Standard => {
                let mut decided = self.standard(hook, &events)?;
                decided.deliveries.extend(self.about_findings(hook, &changes).await?);
                decided
            }
            Family::Chat => self.notices(hook, &events)?,
            Family::Alert => self.alerts(hook, &events).await?,
        };
        self.store(claim, hook, through, decided).await
    }

    fn standard(&self, hook: &webhook::Model, events: &[&Event]) -> Result<Decided> {
        let (wanted, now, mut decided) = (Wanted::of(hook)?, self.clock.now(), Decided::default());
        for event in events {
            for message in wanted.messages(event) {
                let body = payload::of_event(event, message, self.ids, &self.public_url)
                    .map_err(|error| Error::internal("writing the body of a message", error))?;
                let position = message.position(event.seq);
                let row = about(hook.id, event, position, message.message_type(event.cause), body, now);
                decided.deliveries.push(row);
            }
        }
        Ok(decided)
    }

    /// The messages about what evaluations have changed.
    async fn about_findings(
        &self,
        hook: &webhook::Model,
        changes: &[finding_change::Model],
    ) -> Result<Vec<ActiveModel>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let (wanted, now, mut deliveries) = (Wanted::of(hook)?, self.clock.now(), Vec::new());
        let ids: BTreeSet<Uuid> = changes.iter().map(|change| change.instance_id).collect();
        let rows = instance::Entity::find().filter(instance::Column::Id.is_in(ids)).all(self.db.read()).await?;
        let rows: HashMap<Uuid, instance::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
        for change in changes {
            // Retention removes what is left of an instance long after its end.
            let Some(instance) = rows.get(&change.instance_id).filter(|instance| wanted.is_for(instance)) else {
                continue;
            };
            let body = payload::of_findings(change, instance, self.ids, &self.public_url)?;
            deliveries.push(ActiveModel {
                id: Set(Uuid::now_v7()),
                webhook_id: Set(hook.id),
                position: Set(Some(change.place)),
                instance_id: Set(Some(instance.id)),
                message_type: Set(payload::FINDINGS.to_owned()),
                body: Set(body),
                ..queued(now)
            });
        }
        Ok(deliveries)
    }

    fn notices(&self, hook: &webhook::Model, events: &[&Event]) -> Result<Decided> {
        let (wanted, now, mut decided) = (Wanted::of(hook)?, self.clock.now(), Decided::default());
        let hold = i64::try_from(self.hold.as_millis()).unwrap_or(i64::MAX);
        for (number, event) in events.iter().enumerate().filter(|(_, event)| wanted.is_about(event)) {
            let Some(notice) = notice::of_event(event, events.get(number + 1).copied()) else { continue };
            let said = self.brief(event, notice);
            let (kind, body) = (notice.message_type(), chat::body(hook.kind, &said).to_string());
            decided.deliveries.push(ActiveModel {
                held_until: Set(Some(now + hold)),
                next_try_at: Set(now + hold),
                ..about(hook.id, event, first_position(event.seq), kind, body, now)
            });
        }
        Ok(decided)
    }

    /// What people are told about an event.
    fn brief(&self, event: &Event, notice: Notice) -> Brief {
        let instance = &event.snapshot.instance;
        let link = self.ids.link(&self.public_url, instance.id);
        notice::text(event, notice, self.instances.about(instance), link)
    }

    /// The number to go on with after events that the log no longer has: retention has removed them, or a backup was
    /// restored.
    async fn skip(&self, hook: &webhook::Model) -> Result<i64> {
        let bounds = self.log.bounds().await?;
        let through = if bounds.newest < hook.decided_through { bounds.newest } else { bounds.oldest - 1 };
        warn!(
            decided_through = hook.decided_through,
            oldest = bounds.oldest,
            newest = bounds.newest,
            "the log does not have the events that follow the last one of a webhook; it goes on with those that there are"
        );
        Ok(through.max(0))
    }

    async fn store(&self, claim: &Claim, hook: &webhook::Model, through: Through, decided: Decided) -> Result<Planned> {
        let _turn = self.writers.acquire().await.ok();
        let (decided, now) = (&decided, self.clock.now());
        self.db
            .write(|tx| async move {
                if !queue::renew(tx.conn(), claim, now).await? {
                    return Ok(Planned::Lost);
                }
                if move_on(&tx, hook, through).await? {
                    insert(&tx, &decided.deliveries).await?;
                    alerts::store(&tx, hook.id, decided).await?;
                }
                Ok(Planned::More)
            })
            .await
    }
}

/// False if somebody has changed the webhook meanwhile, so that it must be decided anew.
async fn move_on(tx: &Tx, hook: &webhook::Model, through: Through) -> Result<bool> {
    let moved = webhook::Entity::update_many()
        .col_expr(webhook::Column::DecidedThrough, Expr::value(through.event))
        .col_expr(webhook::Column::FindingsThrough, Expr::value(through.finding))
        .filter(webhook::Column::Id.eq(hook.id))
        .filter(webhook::Column::State.eq(State::Enabled))
        .filter(webhook::Column::Revision.eq(hook.revision))
        .filter(webhook::Column::DecidedThrough.eq(hook.decided_through))
        .filter(webhook::Column::FindingsThrough.eq(hook.findings_through))
        .exec(tx.conn())
        .await?;
    Ok(moved.rows_affected == 1)
}

/// Stores deliveries, but for those that are stored already.
pub(super) async fn insert(tx: &Tx, rows: &[ActiveModel]) -> Result<()> {
    let known = OnConflict::columns([Column::WebhookId, Column::Position]).do_nothing().to_owned();
    for some in rows.chunks(ROWS_AT_ONCE) {
        let insert = Entity::insert_many(some.iter().cloned()).on_conflict(known.clone());
        insert.exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

/// A delivery about an event.
pub(super) fn about(
    webhook: Uuid,
    event: &Event,
    position: i64,
    message_type: String,
    body: String,
    now: i64,
) -> ActiveModel {
    ActiveModel {
        id: Set(Uuid::now_v7()),
        webhook_id: Set(webhook),
        position: Set(Some(position)),
        instance_id: Set(Some(event.snapshot.instance.id)),
        message_type: Set(message_type),
        body: Set(body),
        ..queued(now)
    }
}

/// A delivery that is due at once.
pub(super) fn queued(now: i64) -> ActiveModel {
    ActiveModel {
        state: Set(DeliveryState::Queued),
        attempts: Set(0),
        queued_at: Set(now),
        next_try_at: Set(now),
        last_try_at: Set(None),
        delivered_at: Set(None),
        status: Set(None),
        last_error: Set(None),
        answer: Set(None),
        created_at: Set(now),
        held_until: Set(None),
        ..Default::default()
    }
}
