//! The outbox: stores mails in the transaction that decided to send them.

use std::collections::{HashMap, HashSet};

use entity::job::Kind as JobKind;
use entity::notification::{ActiveModel, Column, Entity, Model, NotificationKind, NotificationState};
use entity::run::FailureClass;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::compose::RenderedMail;
use super::recipients;
use crate::auth::creators;
use crate::db::Tx;
use crate::error::Result;
use crate::queue;

/// The UUID namespace of Message-IDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d75_7374_6572_4d61_9c3a_1e5f_70d4_b2e8);

/// A mail to send because of a run's outcome.
pub struct MailRequest<'a> {
    pub kind: NotificationKind,
    pub instance_id: Uuid,
    pub run_id: Uuid,
    /// The host of the public address, for Message-IDs.
    pub host: &'a str,
    pub now: i64,
    /// The failure class that other instances may share, so that their mails can be merged.
    pub reason: Option<FailureClass>,
    /// How long the mail waits for others that it can be merged with, in milliseconds.
    pub hold_ms: i64,
}

/// The addresses of the creator, or of whoever answers in their place, and of all recipients, without duplicates
/// (ignoring case).
pub async fn addresses(tx: &Tx, creator: Option<String>, now: i64) -> Result<Vec<String>> {
    let creator = match creator {
        Some(creator) => creators::answerable(tx, creator, now).await?,
        None => None,
    };
    let mut addresses: Vec<String> = creator.into_iter().collect();
    addresses.extend(recipients::list(tx.conn()).await?);
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(address.to_lowercase()));
    Ok(addresses)
}

/// Stores one mail for each address and queues its delivery.
pub async fn enqueue(
    tx: &Tx,
    request: &MailRequest<'_>,
    addresses: Vec<String>,
    rendered: &RenderedMail,
) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let threads = match request.kind {
        NotificationKind::SyncRecovered => failure_mails(tx.conn(), request.instance_id).await?,
        _ => HashMap::new(),
    };
    let row = |address: String| {
        let key = address.to_lowercase();
        let id = Uuid::now_v7();
        let name = format!("{} {:?} {key}", request.run_id, request.kind);
        let row = ActiveModel {
            message_id: Set(message_id(&name, request.host)),
            in_reply_to: Set(threads.get(&key).cloned()),
            instance_id: Set(Some(request.instance_id)),
            run_id: Set(Some(request.run_id)),
            reason: Set(request.reason),
            ..queued_mail(id, request.kind, address, rendered, request.now)
        };
        (id, row)
    };
    store(tx, addresses.into_iter().map(row), request.now + request.hold_ms).await
}

/// Stores mails, each with its id, and queues their delivery.
async fn store(tx: &Tx, mails: impl Iterator<Item = (Uuid, ActiveModel)>, run_at: i64) -> Result<()> {
    let (ids, rows): (Vec<Uuid>, Vec<ActiveModel>) = mails.unzip();
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    queue::enqueue(tx, JobKind::Mail, &ids, run_at).await
}

/// Stores a mail that is not about a run for each address, and queues its delivery: a reminder of a contract of an
/// instance, a digest, or that a webhook was switched off. `name` identifies it, and `host` is that of Message-IDs.
pub async fn enqueue_report(
    tx: &Tx,
    (kind, instance_id): (NotificationKind, Option<Uuid>),
    (name, host): (&str, &str),
    addresses: Vec<String>,
    rendered: &RenderedMail,
    now: i64,
) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let row = |address: String| {
        let id = Uuid::now_v7();
        let message_id = message_id(&format!("{name} {}", address.to_lowercase()), host);
        let mail = queued_mail(id, kind, address, rendered, now);
        (id, ActiveModel { message_id: Set(message_id), instance_id: Set(instance_id), ..mail })
    };
    store(tx, addresses.into_iter().map(row), now).await
}

/// Stores a test mail and queues its delivery.
pub async fn enqueue_test(tx: &Tx, address: String, host: &str, rendered: &RenderedMail, now: i64) -> Result<Model> {
    let id = Uuid::now_v7();
    let row = ActiveModel {
        message_id: Set(message_id(&id.to_string(), host)),
        ..queued_mail(id, NotificationKind::Test, address, rendered, now)
    };
    let model = row.insert(tx.conn()).await?;
    queue::enqueue(tx, JobKind::Mail, &[id], now).await?;
    Ok(model)
}

/// Drops the queued mails of an instance that is being deleted, and records this in their rows. A mail that stands for
/// many instances is kept, since no other mail reports the others.
pub async fn drop_queued(tx: &Tx, instance_id: Uuid) -> Result<()> {
    let queued = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::InstanceId.eq(instance_id))
        .filter(Column::State.eq(NotificationState::Queued))
        .filter(Column::StandsFor.is_null());
    // Lock order: jobs, then mails. A worker may be making one of them a mail for many, so they are read again.
    let found: Vec<Uuid> = queued.clone().into_tuple().all(tx.conn()).await?;
    queue::lock(tx, JobKind::Mail, &found).await?;
    let queued: Vec<Uuid> = queued.into_tuple().all(tx.conn()).await?;
    if queued.is_empty() {
        return Ok(());
    }
    queue::cancel(tx, JobKind::Mail, &queued).await?;
    Entity::update_many()
        .col_expr(Column::State, Expr::value(NotificationState::Dropped))
        .col_expr(Column::LastError, Expr::value("The instance was deleted before this mail was sent."))
        .filter(Column::Id.is_in(queued))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Records that `mail` reports what `others` were to report. `replaced` are the Message-IDs of all mails that are not
/// sent alone.
pub async fn include(tx: &Tx, mail: &Model, others: &[Uuid], replaced: &[String]) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(NotificationState::Included))
        .col_expr(Column::LastError, Expr::value("Another mail to this address reports it together with others."))
        .col_expr(Column::MessageId, Expr::value(&mail.message_id))
        .filter(Column::Id.is_in(others.iter().copied()))
        .exec(tx.conn())
        .await?;
    // Recoveries that wait for their failure answer the mail that is sent.
    Entity::update_many()
        .col_expr(Column::InReplyTo, Expr::value(&mail.message_id))
        .filter(Column::AddressKey.eq(&mail.address_key))
        .filter(Column::State.eq(NotificationState::Queued))
        .filter(Column::InReplyTo.is_in(replaced))
        .exec(tx.conn())
        .await?;
    Ok(())
}

fn queued_mail(id: Uuid, kind: NotificationKind, address: String, rendered: &RenderedMail, now: i64) -> ActiveModel {
    ActiveModel {
        id: Set(id),
        kind: Set(kind),
        state: Set(NotificationState::Queued),
        instance_id: Set(None),
        run_id: Set(None),
        address_key: Set(address.to_lowercase()),
        address: Set(address),
        subject: Set(rendered.subject.clone()),
        text: Set(rendered.text.clone()),
        html: Set(rendered.html.clone()),
        message_id: sea_orm::ActiveValue::NotSet,
        in_reply_to: Set(None),
        reason: Set(None),
        stands_for: Set(None),
        attempts: Set(0),
        last_error: Set(None),
        created_at: Set(now),
        sent_at: Set(None),
    }
}

/// The same name always gives the same Message-ID.
fn message_id(name: &str, host: &str) -> String {
    format!("{}@{host}", Uuid::new_v5(&NAMESPACE, name.as_bytes()).simple())
}

/// The Message-ID of the last failure mail to each address (in lower case), unless that one never arrives.
async fn failure_mails<C: ConnectionTrait>(conn: &C, instance_id: Uuid) -> Result<HashMap<String, String>> {
    let mails: Vec<(String, String, NotificationState)> = Entity::find()
        .select_only()
        .columns([Column::AddressKey, Column::MessageId, Column::State])
        .filter(Column::InstanceId.eq(instance_id))
        .filter(Column::Kind.is_in([NotificationKind::SyncFailed, NotificationKind::InitialSyncFailed]))
        .order_by_desc(Column::Id)
        .limit(500)
        .into_tuple()
        .all(conn)
        .await?;
    let mut newest = HashMap::new();
    for (address, message_id, state) in mails {
        newest.entry(address).or_insert((message_id, state));
    }
    newest.retain(|_, (_, state)| !matches!(state, NotificationState::Failed | NotificationState::Dropped));
    Ok(newest.into_iter().map(|(address, (message_id, _))| (address, message_id)).collect())
}
