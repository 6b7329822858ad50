//! Creating, changing and deleting webhooks, and changing their secrets.

use entity::audit_entry::Action;
use entity::job::Kind as JobKind;
use entity::webhook::{ActiveModel, DisabledReason, Entity, Model, State};
use entity::webhook_delivery;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::input::{Definition, check_known, too_many};
use super::kind::{Family, family};
use super::record::{fail_queued, place_of};
use super::signature::Secret;
use super::{MOST_WEBHOOKS, Webhooks, alerts, not_found, sealed};
use crate::audit::{self, Entry, Subject};
use crate::auth::Caller;
use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::events;
use crate::installation::{self, sealing_key};
use crate::queue;

/// For how long messages are also signed with the secret before, in milliseconds.
const BOTH_SECRETS_MS: i64 = DAY_MS;
/// How many deliveries one transaction deletes.
const DELETED_AT_ONCE: u64 = 2_000;

/// The row, locked until the transaction ends. `None` if there is none.
pub(super) async fn lock_existing(tx: &Tx, id: Uuid) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?)
}

/// The row, locked with its job, so that its worker neither sends nor ends meanwhile.
pub(super) async fn lock(tx: &Tx, id: Uuid) -> Result<Model> {
    queue::lock(tx, JobKind::Webhook, &[id]).await?;
    lock_existing(tx, id).await?.ok_or_else(not_found)
}

/// Lets the worker look at a webhook now. The row is [locked](lock).
pub(super) async fn wake(tx: &Tx, id: Uuid, now: i64) -> Result<()> {
    queue::hasten(tx, JobKind::Webhook, &[id], now).await?;
    queue::enqueue(tx, JobKind::Webhook, &[id], now).await
}

/// A change of a webhook.
pub struct Change<F> {
    /// Changes what the webhook is at the moment.
    pub define: F,
    /// Whether the change names other instances, which must exist.
    pub changes_scope: bool,
    /// Whether the key or token is entered anew.
    pub gives_key: bool,
    /// Switches it on or off.
    pub enabled: Option<bool>,
    /// If the webhook is no longer at this revision, it is not changed.
    pub expected_revision: Option<i32>,
}

impl Webhooks {
    /// Creates a webhook. Returns it with the secret that signs its messages, which is not shown again. A chat or an alert
    /// manager has none.
    pub async fn create(&self, caller: &Caller, definition: Definition) -> Result<(Model, Option<String>)> {
        let definition = &definition.checked(&self.networks, None)?;
        if let Some(scope) = &definition.wanted.scope {
            check_known(&self.instances, scope).await?;
        }
        let (keys, now) = (&self.instances.keys, self.instances.clock.now());
        self.instances
            .db
            .write(|tx| async move {
                // Of two that count at once, one would not see what the other adds.
                installation::lock(&tx).await?;
                let key = sealing_key(&tx, keys).await?;
                if Entity::find().count(tx.conn()).await? >= MOST_WEBHOOKS {
                    return Err(too_many());
                }
                let id = Uuid::now_v7();
                let shown = shown_url(definition);
                let place = sealed::place(&id, &shown, 1);
                let (sealed, text) = match family(definition.kind) {
                    Family::Standard => {
                        let secret = Secret::new();
                        let text = secret.text();
                        (sealed::seal(&key, &place, &[secret]), Some(text))
                    }
                    Family::Chat | Family::Alert => (sealed::seal_address(&key, &place, &definition.address())?, None),
                };
                let row = ActiveModel {
                    id: Set(id),
                    kind: Set(definition.kind),
                    state: Set(State::Enabled),
                    secret: Set(sealed),
                    secret_generation: Set(1),
                    // Nothing old.
                    decided_through: Set(events::newest(tx.conn()).await?),
                    findings_through: Set(events::findings::newest(tx.conn()).await?),
                    failures: Set(0),
                    created_by: Set(caller.label()),
                    created_by_email: Set(caller.email.clone()),
                    created_at: Set(now),
                    revision: Set(1),
                    ..defined(definition, now)?
                };
                let row = row.insert(tx.conn()).await?;
                note(&tx, &row, Action::WebhookCreated, "A webhook was created.", now);
                Ok((row, text))
            })
            .await
    }

    /// Changes a webhook, or switches it on or off.
    pub async fn update<F: Fn(&mut Definition) + Sync>(&self, id: Uuid, change: &Change<F>) -> Result<Model> {
        if change.changes_scope {
            let before = self.get(id).await?;
            let mut wanted = Definition::of(&before)?;
            (change.define)(&mut wanted);
            if let Some(scope) = &wanted.wanted.scope {
                check_known(&self.instances, scope).await?;
            }
        }
        let now = self.instances.clock.now();
        self.instances.db.write(|tx| async move { self.update_in(&tx, id, change, now).await }).await
    }

    async fn update_in<F: Fn(&mut Definition) + Sync>(
        &self,
        tx: &Tx,
        id: Uuid,
        change: &Change<F>,
        now: i64,
    ) -> Result<Model> {
        let key = sealing_key(tx, &self.instances.keys).await?;
        let before = lock(tx, id).await?;
        if change.expected_revision.is_some_and(|expected| expected != before.revision) {
            let message = "Somebody has changed the webhook meanwhile: read it again.";
            return Err(Refusal::new(RefusalCode::RevisionConflict, message).at(["expectedRevision"]).into());
        }
        let stored = Definition::of(&before)?.with_address(&self.instances.keys, &before);
        let mut definition = stored.clone();
        (change.define)(&mut definition);
        let definition = definition.checked(&self.networks, Some(&stored))?;
        let goes_elsewhere = place_of(&definition.url) != place_of(&stored.url);
        if goes_elsewhere && stored.key.is_some() && definition.key.is_some() && !change.gives_key {
            let message = "A key is sent to the host only for which it was entered. Enter it again for this one.";
            return Err(Refusal::invalid(message, ["key"]).into());
        }
        let mut row = ActiveModel { id: Set(id), revision: Set(before.revision + 1), ..defined(&definition, now)? };
        if definition.address() != stored.address() {
            // What is sealed is bound to the part of the address that is not.
            let (generation, shown) = (before.secret_generation + 1, shown_url(&definition));
            let place = sealed::place(&id, &shown, generation);
            row.secret = Set(match family(definition.kind) {
                Family::Standard => {
                    let secrets = sealed::open(&self.instances.keys, &before).map_err(|_| unusable_secret())?;
                    sealed::seal(&key, &place, &secrets)
                }
                Family::Chat | Family::Alert => sealed::seal_address(&key, &place, &definition.address())?,
            });
            row.secret_generation = Set(generation);
            // What failed at the address before says nothing about this one.
            (row.failing_since, row.failures, row.retry_at) = (Set(None), Set(0), Set(None));
            queue_now(tx, id, now).await?;
        }
        if definition.wanted.finding_changes && !before.finding_changes {
            row.findings_through = Set(events::findings::newest(tx.conn()).await?);
        }
        let is_enabled = before.state == State::Enabled;
        let detail = match change.enabled.filter(|enabled| *enabled != is_enabled) {
            Some(true) => {
                switch_on(tx, &mut row).await?;
                "A webhook was switched on."
            }
            Some(false) => {
                row.state = Set(State::Disabled);
                row.disabled_reason = Set(Some(DisabledReason::Member));
                row.disabled_at = Set(Some(now));
                fail_queued(tx, id).await?;
                "A webhook was switched off."
            }
            None => "A webhook was changed.",
        };
        let row = row.update(tx.conn()).await?;
        self.settle(tx, &row, before.state == State::Disabled, now).await?;
        wake(tx, id, now).await?;
        note(tx, &row, Action::WebhookUpdated, detail, now);
        Ok(row)
    }

    /// Gives a webhook another secret. The one before is valid for another day, and the one before that no longer.
    pub async fn rotate(&self, id: Uuid) -> Result<(Model, String)> {
        let now = self.instances.clock.now();
        self.instances
            .db
            .write(|tx| async move {
                let key = sealing_key(&tx, &self.instances.keys).await?;
                let before = lock(&tx, id).await?;
                if family(before.kind) != Family::Standard {
                    let message = "Messages of this kind are not signed. Enter another address or key instead.";
                    return Err(Refusal::invalid(message, ["id"]).into());
                }
                let (secret, generation) = (Secret::new(), before.secret_generation + 1);
                let text = secret.text();
                // If the one before does not open, the new one is the only one.
                let mut secrets = sealed::open(&self.instances.keys, &before).unwrap_or_default();
                secrets.truncate(1);
                secrets.insert(0, secret);
                let row = ActiveModel {
                    id: Set(id),
                    secret: Set(sealed::seal(&key, &sealed::place(&id, &before.url, generation), &secrets)),
                    secret_generation: Set(generation),
                    previous_until: Set((secrets.len() > 1).then_some(now + BOTH_SECRETS_MS)),
                    updated_at: Set(now),
                    revision: Set(before.revision + 1),
                    ..Default::default()
                };
                let row = row.update(tx.conn()).await?;
                note(&tx, &row, Action::WebhookSecretRotated, "A webhook got another secret.", now);
                Ok((row, text))
            })
            .await
    }

    /// Deletes a webhook with its deliveries. If it is interrupted, it can be repeated.
    pub async fn delete(&self, id: Uuid) -> Result<()> {
        while self.instances.db.write(|tx| async move { delete_old(&tx, id).await }).await? {}
        let now = self.instances.clock.now();
        self.instances
            .db
            .write(|tx| async move {
                let row = lock(&tx, id).await?;
                queue::cancel(&tx, JobKind::Webhook, &[id]).await?;
                let own = webhook_delivery::Column::WebhookId.eq(id);
                webhook_delivery::Entity::delete_many().filter(own).exec(tx.conn()).await?;
                alerts::forget(&tx, id).await?;
                Entity::delete_by_id(id).exec(tx.conn()).await?;
                note(&tx, &row, Action::WebhookDeleted, "A webhook was deleted.", now);
                Ok(())
            })
            .await
    }

    /// The webhook, as a reader sees it.
    pub async fn get(&self, id: Uuid) -> Result<Model> {
        super::queries::find(self.instances.db.read(), id).await?.ok_or_else(not_found)
    }
}

/// The receiver works again: what waits is sent at once.
pub(super) async fn try_now(tx: &Tx, id: Uuid, now: i64) -> Result<()> {
    let row = ActiveModel {
        id: Set(id),
        failing_since: Set(None),
        failures: Set(0),
        retry_at: Set(None),
        ..Default::default()
    };
    row.update(tx.conn()).await?;
    queue_now(tx, id, now).await
}

/// Makes everything due that waits, but for what is gathered to one message.
async fn queue_now(tx: &Tx, id: Uuid, now: i64) -> Result<()> {
    use webhook_delivery::{Column, Entity, State};
    Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(now))
        .filter(Column::WebhookId.eq(id))
        .filter(Column::State.eq(State::Queued))
        .filter(Column::HeldUntil.is_null())
        .filter(Column::NextTryAt.gt(now))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes some of very many deliveries that do not wait, so that no transaction takes long. False if there are only few.
async fn delete_old(tx: &Tx, id: Uuid) -> Result<bool> {
    use webhook_delivery::Column;
    lock(tx, id).await?;
    let old = webhook_delivery::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::WebhookId.eq(id))
        .filter(Column::State.ne(webhook_delivery::State::Queued))
        .order_by_asc(Column::Id)
        .limit(DELETED_AT_ONCE);
    let old: Vec<Uuid> = old.into_tuple().all(tx.conn()).await?;
    if (old.len() as u64) < DELETED_AT_ONCE {
        return Ok(false);
    }
    webhook_delivery::Entity::delete_many().filter(Column::Id.is_in(old)).exec(tx.conn()).await?;
    Ok(true)
}

/// It goes on with what happens from now on.
async fn switch_on(tx: &Tx, row: &mut ActiveModel) -> Result<()> {
    row.state = Set(State::Enabled);
    row.disabled_reason = Set(None);
    row.disabled_at = Set(None);
    row.decided_through = Set(events::newest(tx.conn()).await?);
    row.findings_through = Set(events::findings::newest(tx.conn()).await?);
    row.failing_since = Set(None);
    row.failures = Set(0);
    row.retry_at = Set(None);
    row.last_error = Set(None);
    Ok(())
}

/// The part of an address that is not secret.
fn shown_url(definition: &Definition) -> String {
    match family(definition.kind) {
        Family::Standard => definition.url.clone(),
        Family::Chat | Family::Alert => place_of(&definition.url),
    }
}

/// The columns that a member decides.
fn defined(definition: &Definition, now: i64) -> Result<ActiveModel> {
    let Definition { description, wanted, .. } = definition;
    Ok(ActiveModel {
        url: Set(shown_url(definition)),
        description: Set(description.clone()),
        causes: Set(wanted.causes.as_ref().map(serde_json::to_string).transpose()?),
        only_changes: Set(wanted.only_changes),
        account_changes: Set(serde_json::to_string(&wanted.account_changes)?),
        finding_changes: Set(wanted.finding_changes),
        scope: Set(wanted.scope.as_ref().map(serde_json::to_string).transpose()?),
        updated_at: Set(now),
        ..Default::default()
    })
}

fn unusable_secret() -> Error {
    let message = "The stored secret cannot be opened, because it or the address was changed outside of Muster. Make a new \
                   secret first.";
    Refusal::invalid(message, ["url"]).into()
}

/// Adds an entry to the audit log.
pub(super) fn note(tx: &Tx, row: &Model, action: Action, detail: &'static str, now: i64) {
    audit::record(tx, Entry::new(now, action, detail).about(Subject::webhook(row.id).named(place_of(&row.url))));
}
