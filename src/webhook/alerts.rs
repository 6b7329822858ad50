//! Keeps which alerts are open, decides about them, and tells an Alertmanager again and again that they last.

use std::collections::{HashMap, HashSet};

use entity::event::Cause;
use entity::notification::NotificationKind;
use entity::webhook::{self, Kind};
use entity::webhook_alert::{Column, Entity, Model};
use entity::{instance, webhook_delivery};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use tracing::info;
use uuid::Uuid;

use super::alert::{self, Action, Ending, REPEAT_MS};
use super::kind::{Family, family};
use super::notice::{self, Notice};
use super::plan::{self, Decided, queued};
use super::send::Sender;
use super::wanted::{Wanted, first_position, position_after, position_at_switch};
use super::{Webhooks, again, manage, request, sealed};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::Instances;
use crate::instance::event::{Event, Snapshot};
use crate::instance::notice::About;
use crate::instance::queries::Filter;

/// How many alerts one request tells again.
const REPEATED_AT_ONCE: u64 = 500;
/// How many instances are read at once.
const SNAPSHOTS: u64 = 200;

/// The alerts of a webhook that are open: all, or those of these instances.
async fn open<C: ConnectionTrait>(conn: &C, webhook: Uuid, of: Option<Vec<Uuid>>) -> Result<HashMap<Uuid, Model>> {
    let mut rows = Entity::find().filter(Column::WebhookId.eq(webhook));
    if let Some(of) = of {
        rows = rows.filter(Column::InstanceId.is_in(of));
    }
    let rows = rows.all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.instance_id, row)).collect())
}

impl Sender {
    /// Decides which alerts events trigger, update and resolve.
    pub(super) async fn alerts(&self, hook: &webhook::Model, events: &[&Event]) -> Result<Decided> {
        let (wanted, now) = (Wanted::of(hook)?, self.clock.now());
        let instances = events.iter().map(|event| event.snapshot.instance.id).collect();
        let mut open = open(self.db.read(), hook.id, Some(instances)).await?;
        let (mut deliveries, mut changed) = (Vec::new(), Vec::new());
        for (number, event) in events.iter().enumerate().filter(|(_, event)| wanted.is_about(event)) {
            let instance = &event.snapshot.instance;
            if notice::is_superseded(event, events.get(number + 1).copied()) {
                continue;
            }
            let before = open.get(&instance.id);
            let Some(action) = alert::decide(event, before.map(|row| row.reported.as_str())) else { continue };
            let position = first_position(event.seq);
            let body = match action {
                Action::Resolve(end) => {
                    let before = open.remove(&instance.id).map(|row| row.body).unwrap_or_default();
                    alert::resolved(hook.kind, instance.id, end, &before)
                }
                Action::Trigger | Action::Update => {
                    let (about, link) = (self.instances.about(instance), self.ids.link(&self.public_url, instance.id));
                    let mut body = triggered(hook.kind, action, event, about, link);
                    if let Some(before) = before {
                        alert::keep_labels(&mut body, &before.body);
                    }
                    let row = Model {
                        webhook_id: hook.id,
                        instance_id: instance.id,
                        position,
                        reported: alert::reported(instance),
                        body: body.to_string(),
                        repeated_at: now,
                    };
                    open.insert(instance.id, row);
                    body
                }
            };
            let kind = action.message_type().to_owned();
            deliveries.push(plan::about(hook.id, event, position, kind, body.to_string(), now));
            changed.push(instance.id);
        }
        let (mut opened, mut closed) = (Vec::new(), Vec::new());
        changed.sort_unstable();
        changed.dedup();
        for instance in changed {
            match open.remove(&instance) {
                Some(row) => opened.push(row.into_active_model().reset_all()),
                None => closed.push(instance),
            }
        }
        Ok(Decided { deliveries, opened, closed })
    }

    /// Tells an Alertmanager about the alerts that last, before it takes them for resolved: also while other messages wait
    /// after a failure. If it accepts them, those are sent at once.
    pub(super) async fn repeat(&self, hook: &webhook::Model) -> Result<()> {
        let now = self.clock.now();
        if !repeats(hook) {
            return Ok(());
        }
        let is_due = Column::RepeatedAt.lte(now - REPEAT_MS).or(Column::RepeatedAt.gt(now));
        let due = Entity::find().filter(Column::WebhookId.eq(hook.id)).filter(is_due);
        let due = due.order_by_asc(Column::RepeatedAt).limit(REPEATED_AT_ONCE).all(self.db.read()).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut is_accepted = false;
        if let Ok(address) = sealed::open_address(&self.keys, hook) {
            let bodies: Vec<&str> = due.iter().map(|row| row.body.as_str()).collect();
            if let Ok(request) = request::alerts(&address, &bodies, now) {
                is_accepted = self.client.send_at_once(request).await.is_ok_and(|answer| answer.status.is_success());
                info!(alerts = due.len(), accepted = is_accepted, "an Alertmanager was told which alerts last");
            }
        }
        let told: Vec<Uuid> = due.iter().map(|row| row.instance_id).collect();
        let _turn = self.writers.acquire().await.ok();
        self.db
            .write(|tx| {
                let told = told.clone();
                async move {
                    let own = Entity::update_many().col_expr(Column::RepeatedAt, Expr::value(now));
                    let own = own.filter(Column::WebhookId.eq(hook.id)).filter(Column::InstanceId.is_in(told));
                    own.exec(tx.conn()).await?;
                    if is_accepted && hook.retry_at.is_some() {
                        manage::try_now(&tx, hook.id, now).await?;
                    }
                    Ok(())
                }
            })
            .await
    }
}

/// The body of the message that an instance fails.
fn triggered(kind: Kind, action: Action, event: &Event, about: About<'_>, link: String) -> serde_json::Value {
    let instance = &event.snapshot.instance;
    let revoked = instance.status == instance::Status::Inactive;
    let said = Notice { kind: NotificationKind::SyncFailed, revoked, class: instance.failure_class };
    alert::triggered(kind, action, instance, &notice::text(event, said, about, link), event.at)
}

/// Whether the receiver must be told again and again which alerts last.
fn repeats(hook: &webhook::Model) -> bool {
    hook.kind == Kind::Alertmanager && hook.state == webhook::State::Enabled
}

/// When a receiver is to be told next that alerts last; `None` if none does.
pub(super) async fn next_repeat<C: ConnectionTrait>(conn: &C, hook: &webhook::Model, now: i64) -> Result<Option<i64>> {
    if !repeats(hook) {
        return Ok(None);
    }
    let oldest = Entity::find().select_only().column(Column::RepeatedAt).filter(Column::WebhookId.eq(hook.id));
    let oldest: Option<i64> = oldest.order_by_asc(Column::RepeatedAt).limit(1).into_tuple().one(conn).await?;
    Ok(oldest.map(|at| std::cmp::min(at, now) + REPEAT_MS))
}

/// Records which alerts are open.
pub(super) async fn store(tx: &Tx, webhook: Uuid, decided: &Decided) -> Result<()> {
    let Decided { opened, closed, .. } = decided;
    close(tx, webhook, closed).await?;
    let known = OnConflict::columns([Column::WebhookId, Column::InstanceId])
        .update_columns([Column::Position, Column::Reported, Column::Body, Column::RepeatedAt])
        .to_owned();
    for some in opened.chunks(plan::ROWS_AT_ONCE) {
        let insert = Entity::insert_many(some.iter().cloned()).on_conflict(known.clone());
        insert.exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

async fn close(tx: &Tx, webhook: Uuid, instances: &[Uuid]) -> Result<()> {
    if !instances.is_empty() {
        let own = Column::WebhookId.eq(webhook).and(Column::InstanceId.is_in(instances.iter().copied()));
        Entity::delete_many().filter(own).exec(tx.conn()).await?;
    }
    Ok(())
}

impl Webhooks {
    /// After a change of a webhook: resolves the alerts of instances that do not fail any more, or that it is no longer for.
    /// If it was off, it gets an alert for each instance that began to fail meanwhile, and the last message about each other
    /// one is sent again, unless it was accepted.
    pub(super) async fn settle(&self, tx: &Tx, hook: &webhook::Model, was_off: bool, now: i64) -> Result<()> {
        if family(hook.kind) != Family::Alert || hook.state == webhook::State::Disabled {
            return Ok(());
        }
        let (open, wanted) = (open(tx.conn(), hook.id, None).await?, Wanted::of(hook)?);
        let ids: Vec<Uuid> = open.keys().copied().collect();
        let rows = instance::Entity::find().filter(instance::Column::Id.is_in(ids)).all(tx.conn()).await?;
        let rows: HashMap<Uuid, instance::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut decided = Decided::default();
        for (id, alert) in &open {
            let end = match rows.get(id) {
                None => Some(Ending::Deleted),
                Some(row) if !wanted.is_for(row) => Some(Ending::OutOfScope),
                Some(row) => alert::ending(row),
            };
            let Some(end) = end else { continue };
            decided.closed.push(*id);
            decided.deliveries.push(webhook_delivery::ActiveModel {
                id: Set(Uuid::now_v7()),
                webhook_id: Set(hook.id),
                position: Set(Some(position_after(alert.position))),
                instance_id: Set(Some(*id)),
                message_type: Set(Action::Resolve(end).message_type().to_owned()),
                body: Set(alert::resolved(hook.kind, *id, end, &alert.body).to_string()),
                ..queued(now)
            });
        }
        if was_off {
            self.catch_up(tx, hook, &open, &mut decided, now).await?;
        }
        plan::insert(tx, &decided.deliveries).await?;
        store(tx, hook.id, &decided).await?;
        if was_off {
            again::requeue(tx, again::failed(hook), now).await?;
        }
        Ok(())
    }

    /// Triggers an alert for each instance that fails and has none.
    async fn catch_up(
        &self,
        tx: &Tx,
        hook: &webhook::Model,
        open: &HashMap<Uuid, Model>,
        decided: &mut Decided,
        now: i64,
    ) -> Result<()> {
        let (wanted, mut failing) = (Wanted::of(hook)?, Vec::new());
        let filter = Filter { health: Some(vec![instance::Health::Failing]), ..Filter::default() };
        let mut after = Some(Uuid::nil());
        while let Some(last) = after {
            let some = Instances::snapshots_after(tx.conn(), &filter, now, last, SNAPSHOTS).await?;
            after = some.last().map(|snapshot| snapshot.instance.id);
            failing.extend(some.into_iter().filter(|Snapshot { instance, .. }| {
                wanted.is_for(instance) && alert::ending(instance).is_none() && !open.contains_key(&instance.id)
            }));
        }
        let ids = failing.iter().map(|snapshot| snapshot.instance.id).collect();
        let places = places(tx, hook, ids).await?;
        for snapshot in failing {
            let id = snapshot.instance.id;
            let Some(position) = places.get(&id).copied() else { continue };
            let at = snapshot.last_run.as_ref().and_then(|run| run.finished_at).unwrap_or(now);
            let event = Event { seq: hook.decided_through, at, cause: Cause::Snapshot, actor: None, snapshot };
            let instance = &event.snapshot.instance;
            let link = self.ids.link(&self.public_url, id);
            let body = triggered(hook.kind, Action::Trigger, &event, self.instances.about(instance), link).to_string();
            let row = Model {
                webhook_id: hook.id,
                instance_id: id,
                position,
                reported: alert::reported(instance),
                body: body.clone(),
                repeated_at: now,
            };
            decided.opened.push(row.into_active_model().reset_all());
            let kind = Action::Trigger.message_type().to_owned();
            decided.deliveries.push(plan::about(hook.id, &event, position, kind, body, now));
        }
        Ok(())
    }
}

/// A place in the order of messages for one more about each of these instances: after all that there are about it, and before
/// those about later events. An instance whose last message has no free place after it is left out: that message says that
/// its alert was resolved, because the webhook was not for it, and nothing at all has happened since.
async fn places(tx: &Tx, hook: &webhook::Model, instances: Vec<Uuid>) -> Result<HashMap<Uuid, i64>> {
    use webhook_delivery::{Column, Entity};
    if instances.is_empty() {
        return Ok(HashMap::new());
    }
    let own = Entity::find().select_only().filter(Column::WebhookId.eq(hook.id)).filter(Column::Position.is_not_null());
    let used: Vec<i64> = own.clone().column(Column::Position).into_tuple().all(tx.conn()).await?;
    let used: HashSet<i64> = used.into_iter().collect();
    let last = own.column(Column::InstanceId).expr(Column::Position.max()).group_by(Column::InstanceId);
    let last: Vec<(Option<Uuid>, i64)> = last.into_tuple().all(tx.conn()).await?;
    let last: HashMap<Uuid, i64> = last.into_iter().filter_map(|(instance, at)| Some((instance?, at))).collect();
    let mut order: Vec<(i64, Uuid)> =
        instances.into_iter().map(|id| (last.get(&id).copied().unwrap_or(i64::MIN), id)).collect();
    order.sort_unstable();
    let free = (0..).map(|back| position_at_switch(hook.decided_through - back)).filter(|place| !used.contains(place));
    let placed = order.into_iter().rev().zip(free).filter(|((last, _), place)| last < place);
    Ok(placed.map(|((_, id), place)| (id, place)).collect())
}

/// Forgets the alerts of a webhook that is deleted.
pub(super) async fn forget(tx: &Tx, webhook: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::WebhookId.eq(webhook)).exec(tx.conn()).await?;
    Ok(())
}
