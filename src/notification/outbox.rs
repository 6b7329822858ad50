//! Writing mails down in the transaction that decided on them.

use std::collections::{HashMap, HashSet};

use entity::job::Kind as JobKind;
use entity::notification::{ActiveModel, Column, Entity, Model, NotificationKind, NotificationState};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::compose::Rendered;
use super::recipients;
use crate::db::Tx;
use crate::error::Result;
use crate::queue;

/// The part of a Message-ID that makes it this server's.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d75_7374_6572_4d61_9c3a_1e5f_70d4_b2e8);

/// A mail that an outcome called for.
pub struct Occasion<'a> {
    pub kind: NotificationKind,
    pub instance_id: Uuid,
    pub run_id: Uuid,
    pub creator_email: Option<&'a str>,
    /// The host of the public address, for Message-IDs.
    pub host: &'a str,
    pub now: i64,
}

/// Writes one mail per address: the creator's and every recipient's, each once, without
/// regard to case. Answers how many there are; 0 means that nobody has an address.
pub async fn record(tx: &Tx, occasion: &Occasion<'_>, rendered: &Rendered) -> Result<usize> {
    let mut addresses: Vec<String> = occasion.creator_email.map(str::to_owned).into_iter().collect();
    addresses.extend(recipients::list(tx.conn()).await?);
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(address.to_lowercase()));
    if addresses.is_empty() {
        return Ok(0);
    }
    let threads = match occasion.kind {
        NotificationKind::SyncRecovered => failure_mails(tx.conn(), occasion.instance_id).await?,
        _ => HashMap::new(),
    };
    let mut ids = Vec::new();
    let mut rows = Vec::new();
    for address in addresses {
        let key = address.to_lowercase();
        let id = Uuid::now_v7();
        let name = format!("{} {:?} {key}", occasion.run_id, occasion.kind);
        ids.push(id);
        rows.push(ActiveModel {
            message_id: Set(message_id(&name, occasion.host)),
            in_reply_to: Set(threads.get(&key).cloned()),
            instance_id: Set(Some(occasion.instance_id)),
            run_id: Set(Some(occasion.run_id)),
            ..queued(id, occasion.kind, address, rendered, occasion.now)
        });
    }
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    queue::enqueue(tx, JobKind::Mail, &ids, occasion.now).await?;
    Ok(ids.len())
}

/// Writes a test mail down.
pub async fn record_test(tx: &Tx, address: String, host: &str, rendered: &Rendered, now: i64) -> Result<Model> {
    let id = Uuid::now_v7();
    let row = ActiveModel {
        message_id: Set(message_id(&id.to_string(), host)),
        ..queued(id, NotificationKind::Test, address, rendered, now)
    };
    let model = row.insert(tx.conn()).await?;
    queue::enqueue(tx, JobKind::Mail, &[id], now).await?;
    Ok(model)
}

/// Drops what still waits for an instance that is being deleted, and says so in the ledger.
pub async fn drop_queued(tx: &Tx, instance_id: Uuid) -> Result<()> {
    let waiting: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::InstanceId.eq(instance_id))
        .filter(Column::State.eq(NotificationState::Queued))
        .into_tuple()
        .all(tx.conn())
        .await?;
    if waiting.is_empty() {
        return Ok(());
    }
    // The jobs before the mails, as whoever delivers takes them. One that was delivered meanwhile stays so.
    queue::cancel(tx, JobKind::Mail, &waiting).await?;
    Entity::update_many()
        .col_expr(Column::State, Expr::value(NotificationState::Dropped))
        .col_expr(Column::LastError, Expr::value("The instance was deleted before this mail was sent."))
        .filter(Column::Id.is_in(waiting))
        .filter(Column::State.eq(NotificationState::Queued))
        .exec(tx.conn())
        .await?;
    Ok(())
}

fn queued(id: Uuid, kind: NotificationKind, address: String, rendered: &Rendered, now: i64) -> ActiveModel {
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
        attempts: Set(0),
        last_error: Set(None),
        created_at: Set(now),
        sent_at: Set(None),
    }
}

/// The same name gives the same id, so that a mail written down twice would still be one.
fn message_id(name: &str, host: &str) -> String {
    format!("{}@{host}", Uuid::new_v5(&NAMESPACE, name.as_bytes()).simple())
}

/// The Message-ID of the last failure mail to each address.
async fn failure_mails<C: ConnectionTrait>(conn: &C, instance_id: Uuid) -> Result<HashMap<String, String>> {
    let mails: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::AddressKey, Column::MessageId])
        .filter(Column::InstanceId.eq(instance_id))
        .filter(Column::Kind.is_in([NotificationKind::SyncFailed, NotificationKind::InitialSyncFailed]))
        .order_by_desc(Column::Id)
        .limit(500)
        .into_tuple()
        .all(conn)
        .await?;
    let mut newest = HashMap::new();
    for (address, message_id) in mails {
        newest.entry(address).or_insert(message_id);
    }
    Ok(newest)
}
