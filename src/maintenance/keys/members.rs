//! The rows about members, which are signed.

use entity::{member, member_identity, member_link, session};
use sea_orm::{EntityTrait, IntoActiveModel, QuerySelect};

use crate::auth::signed::{self, Signed, is_signed};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::secrets::{KeyRing, SecretKey, signer_of};

/// The signatures of all rows.
pub(super) async fn signatures(db: &Db) -> Result<Vec<Option<Vec<u8>>>> {
    let mut all = of::<member::Entity>(db).await?;
    all.extend(of::<member_identity::Entity>(db).await?);
    all.extend(of::<member_link::Entity>(db).await?);
    all.extend(of::<session::Entity>(db).await?);
    Ok(all)
}

async fn of<E>(db: &Db) -> Result<Vec<Option<Vec<u8>>>>
where
    E: EntityTrait,
    E::Model: Signed,
{
    let rows = E::find().all(db.read()).await?;
    Ok(rows.iter().map(|row| row.signature().map(<[u8]>::to_vec)).collect())
}

/// Signs with this key what another one has signed. Returns how many rows that were.
pub(super) async fn renew(tx: &Tx, ring: &KeyRing, key: &SecretKey) -> Result<u64> {
    Ok(table::<member::Entity>(tx, ring, key).await?
        + table::<member_identity::Entity>(tx, ring, key).await?
        + table::<member_link::Entity>(tx, ring, key).await?
        + table::<session::Entity>(tx, ring, key).await?)
}

async fn table<E>(tx: &Tx, ring: &KeyRing, key: &SecretKey) -> Result<u64>
where
    E: EntityTrait,
    E::Model: Signed + IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let mut renewed = 0;
    for row in E::find().lock_exclusive().all(tx.conn()).await? {
        let old = row.signature().and_then(signer_of).is_some_and(|id| id != key.id());
        if old && is_signed(ring, &row) {
            signed::update::<E>(tx, key, row).await?;
            renewed += 1;
        }
    }
    Ok(renewed)
}
