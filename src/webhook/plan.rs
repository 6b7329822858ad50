//! Decides which messages a webhook gets, from the events after the last one about which it was decided.

use entity::webhook::{self, State};
use entity::webhook_delivery::{ActiveModel, Column, Entity, State as DeliveryState};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use tracing::warn;
use uuid::Uuid;

use super::payload;
use super::queries;
use super::send::Sender;
use super::wanted::{Message, Wanted};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::instance::event::Event;
use crate::queue::{self, Claim};

/// How many events are looked at in one transaction.
const EVENTS_AT_ONCE: usize = 64;
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

impl Sender {
    /// Decides about the next events.
    pub(super) async fn plan(&self, claim: &Claim, hook: &webhook::Model) -> Result<Planned> {
        if queries::has_queued(self.db.read(), hook.id, MOST_QUEUED).await? {
            return Ok(Planned::UpToDate);
        }
        let Some(entries) = self.log.after(hook.decided_through, EVENTS_AT_ONCE).await? else {
            let through = self.skip(hook).await?;
            return self.store(claim, hook, through, Vec::new()).await;
        };
        let Some(last) = entries.last() else { return Ok(Planned::UpToDate) };
        let (through, now, wanted) = (last.seq, self.clock.now(), Wanted::of(hook)?);
        let mut rows = Vec::new();
        // An event that cannot be read was reported when the log was read.
        for event in entries.iter().filter_map(|entry| entry.event.as_deref()) {
            for message in wanted.messages(event) {
                rows.push(self.delivery(hook.id, event, message, now)?);
            }
        }
        self.store(claim, hook, through, rows).await
    }

    fn delivery(&self, webhook: Uuid, event: &Event, message: Message, now: i64) -> Result<ActiveModel> {
        let body = payload::of_event(event, message, self.ids, &self.public_url)
            .map_err(|error| Error::internal("writing the body of a message", error))?;
        Ok(ActiveModel {
            id: Set(Uuid::now_v7()),
            webhook_id: Set(webhook),
            position: Set(Some(message.position(event.seq))),
            instance_id: Set(Some(event.snapshot.instance.id)),
            message_type: Set(message.message_type(event.cause)),
            body: Set(body),
            ..queued(now)
        })
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

    async fn store(
        &self,
        claim: &Claim,
        hook: &webhook::Model,
        through: i64,
        rows: Vec<ActiveModel>,
    ) -> Result<Planned> {
        let _turn = self.writers.acquire().await.ok();
        let (rows, now) = (&rows, self.clock.now());
        self.db
            .write(|tx| async move {
                if !queue::renew(tx.conn(), claim, now).await? {
                    return Ok(Planned::Lost);
                }
                if move_on(&tx, hook, through).await? && !rows.is_empty() {
                    let known = OnConflict::columns([Column::WebhookId, Column::Position]).do_nothing().to_owned();
                    let insert = Entity::insert_many(rows.iter().cloned()).on_conflict(known);
                    insert.exec_without_returning(tx.conn()).await?;
                }
                Ok(Planned::More)
            })
            .await
    }
}

/// False if somebody has changed the webhook meanwhile, so that it must be decided anew.
async fn move_on(tx: &Tx, hook: &webhook::Model, through: i64) -> Result<bool> {
    let moved = webhook::Entity::update_many()
        .col_expr(webhook::Column::DecidedThrough, Expr::value(through))
        .filter(webhook::Column::Id.eq(hook.id))
        .filter(webhook::Column::State.eq(State::Enabled))
        .filter(webhook::Column::Revision.eq(hook.revision))
        .filter(webhook::Column::DecidedThrough.eq(hook.decided_through))
        .exec(tx.conn())
        .await?;
    Ok(moved.rows_affected == 1)
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
        ..Default::default()
    }
}
