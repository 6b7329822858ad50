//! Erasure: everything that is known of a person is deleted for good, and does not come back.
//!
//! **What goes.** The person, with keys, pins, owners, exceptions, evidence and words. The accounts stay, blanked: they
//! count in figures, and are nobody's ([`carry_out`]). What others' accounts say of their manager follows ([`sweep`]).
//!
//! **What keeps it away.** Each account gets a stand-in for the application's id, a keyed hash ([`crate::directory::erased`]).
//! A sync that lists the account finds it by that, and stores nothing that could tell whose it is.
//!
//! **What a restore does.** The [`ledger`] outlives the replacement of the database. Whatever it has and the database lacks
//! is carried out again ([`again`]).

use std::collections::BTreeSet;

use entity::person::{self, State};
use sea_orm::EntityTrait;
use tracing::error;
use uuid::Uuid;

use self::belongings::Found;
use self::ledger::{Ledger, Noted};
use super::lane::Lane;
use super::pins::MAX_REASON;
use super::{People, not_found};
use crate::audit::{self, Subject};
use crate::directory::erased;
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::secrets::HashKey;

mod again;
mod belongings;
mod carry_out;
pub mod ledger;
mod sweep;

/// Who is to be erased.
#[derive(Clone, Debug)]
pub struct Request {
    pub person: Uuid,
    /// Why. It must not name the person.
    pub reason: String,
    /// Whether somebody is erased whom a people source lists.
    pub force: bool,
    /// Whether it is understood that this cannot be undone.
    pub acknowledged: bool,
}

impl Request {
    fn check(&self) -> Result<()> {
        let mut refusals = Vec::new();
        if self.reason.trim().is_empty() {
            refusals
                .push(Refusal::invalid("Say why the person is erased, such as the number of the request.", ["reason"]));
        }
        if self.reason.chars().count() > MAX_REASON {
            refusals.push(Refusal::invalid(format!("A reason has at most {MAX_REASON} characters."), ["reason"]));
        }
        if !self.acknowledged {
            let message =
                "The erasure of a person cannot be undone: repeat the request with acknowledgeIrreversible: true.";
            let refusal = Refusal::new(RefusalCode::AcknowledgementRequired, message);
            refusals.push(refusal.at(["acknowledgeIrreversible"]));
        }
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
    }

    /// Refuses to erase somebody whom a people source lists.
    fn allows(&self, person: &person::Model) -> Result<()> {
        if person.state != State::Current || self.force {
            return Ok(());
        }
        let message = "A people source lists this person. Use force: true to erase the person all the same.";
        Err(Refusal::new(RefusalCode::PersonCurrent, message).at(["force"]).into())
    }
}

impl People {
    /// Erases a person. Returns how many accounts were blanked.
    pub async fn erase(&self, request: &Request) -> Result<usize> {
        request.check()?;
        let _turn = self.ledger.turn().await;
        let (id, now) = (Uuid::now_v7(), self.clock.now());
        let erased = self
            .db
            .write(|tx| async move {
                let mut lane = Lane::enter(&tx, now).await?;
                let person = person::Entity::find_by_id(request.person).one(tx.conn()).await?.ok_or_else(not_found)?;
                request.allows(&person)?;
                let found = Found { people: BTreeSet::from([person.id]), ..Found::default() };
                let all = lane.belongings(&found).await?;
                if all.is_named_by(&request.reason) {
                    let message = "The reason is kept, so it must not name the person.";
                    return Err(Refusal::invalid(message, ["reason"]).into());
                }
                let key = lane.hash_key(&self.ledger).await?;
                let mut noted = Noted::new(id, now, request.reason.trim().to_owned(), &key);
                all.note(&mut noted, &key);
                let accounts = all.rows.len();
                Box::pin(lane.carry_out(all, &noted, &key)).await?;
                // The last step before the commit.
                self.ledger.note(&noted)?;
                let detail = format!("A person was erased, with {accounts} accounts.");
                audit::record_change(&tx, now, || None::<Subject>, &detail);
                Ok(accounts)
            })
            .await;
        // Whatever is not certain stays noted, and is carried out at the next start at the latest.
        if matches!(&erased, Err(failed) if !matches!(failed, Error::Uncertain(_)))
            && let Err(failed) = self.ledger.withdraw(id)
        {
            error!(error = %failed.chain(), "an erasure that failed stays in the ledger, and will be carried out");
        }
        erased
    }
}

impl Lane<'_> {
    /// The key of the hashes. A database in which nobody was erased yet gets that of the ledger, or a new one.
    async fn hash_key(&self, ledger: &Ledger) -> Result<HashKey> {
        if let Some(key) = erased::key(self.tx.conn(), self.tx.keys()?).await? {
            return Ok(key);
        }
        let key = match ledger.read()?.last() {
            Some(noted) => noted.key()?,
            None => HashKey::generate(),
        };
        erased::store_key(self.tx, &key).await?;
        Ok(key)
    }
}
