//! The organisation-wide list of addresses that get mail about every instance.

use std::collections::HashSet;

use entity::audit_entry::Action;
use entity::installation;
use entity::recipient::{ActiveModel, Column, Entity};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};

use crate::audit::{self, Entry};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::mail::EmailAddress;

/// For more recipients, a distribution list of the mail server is the right tool.
pub const MAX_RECIPIENTS: usize = 100;

/// The addresses, in the order of the list.
pub async fn list<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>> {
    let rows = Entity::find().order_by_asc(Column::Position).all(conn).await?;
    Ok(rows.into_iter().map(|row| row.address).collect())
}

/// Replaces the whole list, or changes nothing and returns one refusal per invalid address.
/// Duplicates (ignoring case) are stored once. If the list is no longer the `expected` one, nothing is changed.
pub async fn set(db: &Db, clock: &Clock, addresses: &[String], expected: Option<&[String]>) -> Result<Vec<String>> {
    let too_many = || {
        Refusal::invalid(format!("At most {MAX_RECIPIENTS} recipients; use a distribution list for more."), ["emails"])
    };
    if addresses.len() > 10 * MAX_RECIPIENTS {
        return Err(too_many().into());
    }
    let mut refusals = Vec::new();
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for (index, text) in addresses.iter().enumerate() {
        match text.trim().parse::<EmailAddress>() {
            Ok(address) => {
                if seen.insert(address.key()) {
                    list.push(address);
                }
            }
            Err(reason) => refusals.push(Refusal::invalid(reason.to_string(), ["emails".into(), index.to_string()])),
        }
    }
    if list.len() > MAX_RECIPIENTS {
        refusals.push(too_many());
    }
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    let (addresses, now) = (&list, clock.now());
    let detail = &format!("The list of recipients was replaced; it has {} addresses.", list.len());
    db.write(|tx| async move {
        // This lock serialises concurrent replacements, so that two lists are never mixed.
        installation::Entity::find_by_id(installation::ID).lock_exclusive().one(tx.conn()).await?;
        if let Some(expected) = expected
            && self::list(tx.conn()).await? != expected
        {
            let message = "Somebody has changed the list meanwhile: read it again, then repeat the change.";
            return Err(Refusal::new(RefusalCode::RevisionConflict, message).at(["expectedEmails"]).into());
        }
        Entity::delete_many().exec(tx.conn()).await?;
        if !addresses.is_empty() {
            let rows = addresses.iter().zip(0..).map(|(address, position)| ActiveModel {
                address_key: Set(address.key()),
                address: Set(address.as_str().to_owned()),
                position: Set(position),
            });
            Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        }
        let names = addresses.iter().map(EmailAddress::as_str).collect::<Vec<_>>().join(", ");
        audit::record(&tx, Entry::new(now, Action::RecipientsSet, detail).naming(names));
        Ok(())
    })
    .await?;
    Ok(list.into_iter().map(|address| address.as_str().to_owned()).collect())
}
