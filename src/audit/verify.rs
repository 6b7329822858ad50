//! Checks the chain of entries, and says where it breaks.

use std::collections::HashMap;

use entity::audit_entry::{Column, Entity, Model};
use entity::audit_person::{self, Column as Person};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::chain;
use super::ends::{self, Ends, PAGE};
use crate::error::Result;
use crate::secrets::KeyRing;

/// How many breaks are named. The rest would say the same.
const MAX_BREAKS: usize = 50;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many entries the chain has.
    pub chained: u64,
    /// How many entries are of earlier versions, or from before the log was accepted as it was. Nothing is proved of them.
    pub unproved: u64,
    /// Of how many chained entries the personal part has expired or was erased.
    pub erased: u64,
    /// Where the chain breaks, and how.
    pub breaks: Vec<String>,
}

/// Checks every entry. Without keys, the signature of the ends is not checked.
///
/// # Errors
/// If the database cannot be read.
pub async fn verify<C: ConnectionTrait>(conn: &C, ring: Option<&KeyRing>) -> Result<Verified> {
    let ends = ends::read(conn).await?;
    let mut walk = Walk::from(&ends);
    if ring.is_some_and(|ring| !ends::is_genuine(ring, &ends)) {
        walk.say("the record of its newest entry (audit_chain) is not as Muster wrote it".into());
    }
    if let Some(entry) = ends.broken_at {
        walk.say(format!("the log was changed outside of Muster before entry {entry} was appended"));
    }
    let mut next = Some(i64::MIN);
    while let Some(first) = next {
        let entries = Entity::find().filter(Column::Id.gte(first)).order_by_asc(Column::Id).limit(PAGE);
        let entries = entries.all(conn).await?;
        let Some(last) = entries.last() else { break };
        let persons = audit_person::Entity::find().filter(Person::EntryId.between(first, last.id));
        let persons = persons.all(conn).await?.into_iter().map(|person| (person.entry_id, person)).collect();
        next = last.id.checked_add(1);
        for entry in &entries {
            walk.step(entry, &persons);
        }
    }
    walk.end(&ends);
    Ok(walk.found)
}

struct Walk {
    found: Verified,
    anchor: i64,
    /// Nothing is proved of the entries up to this one.
    unproved: i64,
    last: i64,
    hash: Option<Vec<u8>>,
}

impl Walk {
    fn from(ends: &Ends) -> Self {
        let (last, hash) = (ends.anchor_id, ends.anchor_hash.clone());
        Self { found: Verified::default(), anchor: ends.anchor_id, unproved: ends::unproved(ends), last, hash }
    }

    fn say(&mut self, wrong: String) {
        if self.found.breaks.len() < MAX_BREAKS {
            self.found.breaks.push(wrong);
        }
    }

    fn step(&mut self, entry: &Model, persons: &HashMap<i64, audit_person::Model>) {
        let id = entry.id;
        if (1..=self.unproved).contains(&id) {
            self.found.unproved += 1;
            return;
        }
        let Some(hash) = entry.hash.as_ref().filter(|_| id > self.anchor) else {
            self.say(format!("entry {id} was not written by Muster"));
            return;
        };
        self.found.chained += 1;
        let computed = chain::hash(entry, self.hash.as_deref());
        if id != self.last + 1 {
            self.say(format!("{} entries are missing before entry {id}", id.saturating_sub(self.last) - 1));
        } else if computed[..] != hash[..] {
            self.say(format!("entry {id} was changed, or does not follow the entry before it"));
        }
        match persons.get(&id) {
            None => self.found.erased += 1,
            Some(person) if Some(&chain::person_digest(person)[..]) != entry.person_digest.as_deref() => {
                self.say(format!("the name or the address in entry {id} was changed"));
            }
            Some(_) => {}
        }
        (self.last, self.hash) = (id, Some(hash.clone()));
    }

    fn end(&mut self, ends: &Ends) {
        if self.last < ends.last_id {
            self.say(format!("the log ends with entry {}, and its newest entry was {}", self.last, ends.last_id));
        } else if self.last > ends.last_id {
            self.say(format!("the entries after {} were not written by Muster", ends.last_id));
        } else if self.hash != ends.last_hash {
            self.say(format!("entry {} is not the one that was written last", self.last));
        }
    }
}
