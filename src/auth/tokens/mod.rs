//! Authentication with API tokens.
//!
//! Only the SHA-256 of a token is stored; a random [`text`] needs no slow hash. It is shown once, when it is created.
//! A revoked or expired token stops working within a second, on every replica.
//!
//! Each row is signed with the installation's key. A row that somebody else wrote or changed is no valid token.

mod manage;
mod row;
pub mod text;
mod uses;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::api_token::{Column, Entity, Model};
use entity::member;
use parking_lot::Mutex;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tracing::warn;
use uuid::Uuid;

use super::{Caller, Role, signed};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::secrets::{self, KeyRing};

pub(super) use self::manage::revoke_personal;
pub use self::manage::{Created, LIFETIME_MS, NewToken, address, expires_soon, has_ended, name};
pub use self::row::{scope, store_signature};
use self::uses::Uses;

/// How long the caller of a token is cached. A revocation may be noticed this late.
const CALLER_TTL: Duration = Duration::from_millis(900);
/// How long the validity of a token is cached for open connections, which check it twice a second.
const VALIDITY_TTL: Duration = Duration::from_millis(400);
/// How many callers are cached. A full cache is cleared.
const MAX_CACHED: usize = 1024;

/// Whether the limits of tokens apply to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    Limited,
    /// For a gateway that serves many people with one token, or for a load test.
    Unlimited,
}

/// Whether a token was valid, and when that was. Locked while it is looked up, so that all its connections wait for one
/// answer.
type Validity = tokio::sync::Mutex<Option<(Instant, bool)>>;
type CallerCache = HashMap<Vec<u8>, (Instant, Option<Caller>)>;

/// The API tokens of this installation. Clones share the caches.
#[derive(Clone)]
pub struct Tokens {
    pub db: Db,
    clock: Clock,
    keys: Arc<KeyRing>,
    callers: Arc<Mutex<CallerCache>>,
    validity: Arc<Mutex<HashMap<Uuid, Arc<Validity>>>>,
    uses: Uses,
}

impl Tokens {
    pub fn new(db: Db, clock: Clock, keys: Arc<KeyRing>) -> Self {
        Self { db, clock, keys, callers: Arc::default(), validity: Arc::default(), uses: Uses::default() }
    }

    /// The clock by which tokens expire.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The caller with this token; `None` if it is not a valid token.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>> {
        if !text::is_plausible(token) {
            return Ok(None);
        }
        let hash = secrets::hash(token);
        if let Some((at, caller)) = self.callers.lock().get(&hash)
            && at.elapsed() < CALLER_TTL
        {
            return Ok(caller.clone());
        }
        let found = Entity::find()
            .filter(Column::Hash.eq(hash.clone()))
            .filter(Column::RevokedAt.is_null())
            .one(self.db.reserved())
            .await?;
        let caller = self.caller_of(found).await?;
        let mut callers = self.callers.lock();
        if callers.len() >= MAX_CACHED {
            callers.clear();
        }
        callers.insert(hash, (now(), caller.clone()));
        Ok(caller)
    }

    /// True if the caller's token is still valid. Open connections call this repeatedly, so the result is
    /// cached for a moment.
    pub async fn still_valid(&self, caller: &Caller) -> Result<bool> {
        let id = caller.id();
        let known = self.validity.lock().entry(id).or_default().clone();
        let mut known = known.lock().await;
        if let Some((at, valid)) = *known
            && at.elapsed() < VALIDITY_TTL
        {
            return Ok(valid);
        }
        let found = Entity::find_by_id(id).one(self.db.reserved()).await?;
        let valid = self.caller_of(found).await?.is_some_and(|now| now.role == caller.role);
        *known = Some((now(), valid));
        Ok(valid)
    }

    /// The caller with this token id, without a cache; `None` if the token was revoked.
    pub async fn find_caller(&self, id: Uuid) -> Result<Option<Caller>> {
        let found = Entity::find_by_id(id).filter(Column::RevokedAt.is_null()).one(self.db.reserved()).await?;
        self.caller_of(found).await
    }

    /// The caller with a token that was found, if it works now. A personal token works as long as its member may sign
    /// in, and allows no more than the member's role does. One of the installation that a member has created administers
    /// as long as this member does, so that somebody who was an administrator leaves no way to become one again.
    async fn caller_of(&self, found: Option<Model>) -> Result<Option<Caller>> {
        let now = self.clock.now();
        let Some(token) = found.filter(|token| !has_ended(token, now) && self.is_genuine(token)) else {
            return Ok(None);
        };
        let mut caller = row::caller(&token);
        if let Some(id) = token.member_id {
            let Some(owner) = self.active(id).await? else { return Ok(None) };
            caller.role = caller.role.weaker(owner.role);
        }
        if let Some(id) = token.creator_id.filter(|_| caller.may_administer())
            && self.active(id).await?.is_none_or(|creator| creator.role != Role::Admin)
        {
            caller.role = Role::Operator;
        }
        self.uses.note(token.id, now);
        Ok(Some(caller))
    }

    /// The member with this id, if the member may sign in.
    async fn active(&self, id: Uuid) -> Result<Option<member::Model>> {
        let member = signed::genuine(&self.keys, member::Entity::find_by_id(id).one(self.db.reserved()).await?);
        Ok(member.filter(|member| member.disabled_at.is_none()))
    }

    /// Whether the row is as this installation wrote it.
    fn is_genuine(&self, token: &Model) -> bool {
        let genuine = signed::is_signed(&self.keys, token);
        if !genuine {
            warn!(token.id = %token.id, "an API token is refused, because its row was written outside of Muster; see `muster doctor`");
        }
        genuine
    }
}

#[expect(clippy::disallowed_methods, reason = "measures the age of cache entries")]
fn now() -> Instant {
    Instant::now()
}
