//! Clears where other accounts name somebody who was erased as their manager: in their rows, and in their history.
//!
//! Nobody knows by then who it was, so that all accounts of the instances are looked at, a few at a time. A sync does not
//! bring the manager back.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::{account_link, erased_account, erased_name, erasure, user, user_change};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::db::{Tx, keyset};
use crate::directory::erased;
use crate::error::Result;
use crate::people::People;
use crate::people::lane::Lane;
use crate::secrets::HashKey;

/// How many accounts one transaction looks at.
const ACCOUNTS: u64 = 2_000;
/// How many numbers of changes one transaction looks at.
const CHANGES: i64 = 5_000;

/// By which hashes erased people may be named.
struct Named {
    ids: Vec<Uuid>,
    instances: BTreeSet<Uuid>,
    accounts: HashSet<(Uuid, String)>,
    names: HashSet<(Uuid, String)>,
}

impl Named {
    /// Of the erasures after which nobody has looked yet. `None` if there are none.
    async fn read(people: &People) -> Result<Option<Self>> {
        let reader = people.db.read();
        let open = erasure::Entity::find().select_only().column(erasure::Column::Id);
        let ids: Vec<Uuid> = open.filter(erasure::Column::Swept.eq(false)).into_tuple().all(reader).await?;
        if ids.is_empty() {
            return Ok(None);
        }
        let own = erased_account::Column::ErasureId.is_in(ids.iter().copied());
        let accounts = erased_account::Entity::find().filter(own).all(reader).await?;
        let own = erased_name::Column::ErasureId.is_in(ids.iter().copied());
        let names = erased_name::Entity::find().filter(own).all(reader).await?;
        Ok(Some(Self {
            ids,
            instances: accounts.iter().map(|account| account.instance_id).collect(),
            accounts: accounts.into_iter().map(|account| (account.instance_id, account.stand_in)).collect(),
            names: names.into_iter().map(|row| (row.instance_id, row.name)).collect(),
        }))
    }

    fn has(&self, key: &HashKey, instance: Uuid, manager: &str) -> bool {
        self.instances.contains(&instance)
            && (self.accounts.contains(&(instance, erased::stand_in(key, instance, manager)))
                || erased::name(key, manager).is_some_and(|name| self.names.contains(&(instance, name))))
    }
}

impl People {
    /// Does what is left of erasures. An interruption does no harm: it is done again from the beginning.
    pub async fn sweep_erasures(&self, stop: &CancellationToken) -> Result<()> {
        let Some(named) = Named::read(self).await? else { return Ok(()) };
        let named = &named;
        for instance in &named.instances {
            let mut next = Some(Uuid::nil());
            while let Some(after) = next {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let now = self.clock.now();
                let sweep =
                    self.db.write(|tx| async move { sweep_accounts(&tx, named, (*instance, after), now).await });
                next = sweep.await?;
            }
        }
        let mut next = Some(0);
        while let Some(after) = next {
            if stop.is_cancelled() {
                return Ok(());
            }
            next = self.db.write(|tx| async move { sweep_history(&tx, named, after).await }).await?;
        }
        self.db
            .write(|tx| async move {
                erasure::Entity::update_many()
                    .col_expr(erasure::Column::Swept, Expr::value(true))
                    .filter(erasure::Column::Id.is_in(named.ids.iter().copied()))
                    .exec(tx.conn())
                    .await?;
                Ok(())
            })
            .await
    }
}

/// Clears the manager in some rows of an instance, and of the people whose accounts they are. Returns the last of the rows;
/// `None` if there are no more.
async fn sweep_accounts(tx: &Tx, named: &Named, (instance, after): (Uuid, Uuid), now: i64) -> Result<Option<Uuid>> {
    use user::{Column, Entity};
    let conn = tx.conn();
    let key = erased::needed_key(conn, tx.keys()?).await?;
    let backend = conn.get_database_backend();
    // Before rows of accounts are locked, as everywhere.
    let mut lane = Lane::enter(tx, now).await?;
    let rows = Entity::find().select_only().columns([Column::Id, Column::Manager]);
    let rows = rows.filter(Column::Id.gt(after)).limit(ACCOUNTS);
    let rows = keyset::of_parent(rows, (Column::InstanceId, instance), Column::Id, Order::Asc, backend);
    let rows: Vec<(Uuid, Option<String>)> = rows.into_tuple().all(conn).await?;
    let last = rows.last().map(|(id, _)| *id);
    let is_named = |manager: Option<&str>| manager.is_some_and(|manager| named.has(&key, instance, manager));
    let ids: Vec<Uuid> = rows.iter().filter(|(_, manager)| is_named(manager.as_deref())).map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(last);
    }
    Entity::update_many()
        .col_expr(Column::Manager, Expr::value(None::<String>))
        .filter(keyset::among((Entity, Column::Id), &ids, backend))
        .exec(conn)
        .await?;
    let own = keyset::among((account_link::Entity, account_link::Column::UserId), &ids, backend);
    let links = account_link::Entity::find().filter(own).all(conn).await?;
    lane.describe(links.into_iter().filter_map(|link| link.person_id).collect()).await?;
    Ok(last)
}

/// Clears the manager in some changes. Returns the number after which to go on; `None` if there are no more.
async fn sweep_history(tx: &Tx, named: &Named, after: i64) -> Result<Option<i64>> {
    use user_change::{Column, Entity};
    let conn = tx.conn();
    let next = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(after)).order_by_asc(Column::Id);
    let Some(first) = next.limit(1).into_tuple::<i64>().one(conn).await? else { return Ok(None) };
    let end = first.saturating_add(CHANGES);
    let changes = Entity::find()
        .select_only()
        .columns([Column::Id, Column::UserId, Column::OldValues])
        .filter(Column::Id.gte(first))
        .filter(Column::Id.lte(end))
        .filter(Column::OldValues.contains("\"manager\":\""));
    let changes: Vec<(i64, Uuid, String)> = changes.into_tuple().all(conn).await?;
    if changes.is_empty() {
        return Ok(Some(end));
    }
    let key = erased::needed_key(conn, tx.keys()?).await?;
    let users: BTreeSet<Uuid> = changes.iter().map(|(_, user, _)| *user).collect();
    let users: Vec<Uuid> = users.into_iter().collect();
    let own = keyset::among((user::Entity, user::Column::Id), &users, conn.get_database_backend());
    let rows = user::Entity::find().select_only().columns([user::Column::Id, user::Column::InstanceId]).filter(own);
    let instances: Vec<(Uuid, Uuid)> = rows.into_tuple().all(conn).await?;
    let instances: BTreeMap<Uuid, Uuid> = instances.into_iter().collect();
    for (id, user, old_values) in changes {
        let Some(instance) = instances.get(&user) else { continue };
        let is_named = |column: &str, value: &Value| {
            column == "manager" && value.as_str().is_some_and(|manager| named.has(&key, *instance, manager))
        };
        let without = erased::without(&old_values, is_named).unwrap_or_else(|error| {
            warn!(change.id = id, error = %error.chain(), "old values of an account cannot be read, and stay as they are");
            None
        });
        if let Some(kept) = without {
            let set = user_change::ActiveModel { id: Set(id), old_values: Set(kept), ..Default::default() };
            set.update(conn).await?;
        }
    }
    Ok(Some(end))
}
