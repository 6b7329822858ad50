//! Sessions: members who are signed in with a browser.
//!
//! A session is known by 256 random bits in a cookie, of which only the SHA-256 is stored. It ends when it was not used
//! for eight hours, after seven days, and when somebody ends it: its member, an administrator, or a change of the
//! member's role or password. Its open sockets and streams then end within a second, on every replica. A request of the
//! browser counts as use; an open socket does not, so that a page that nobody looks at is signed out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::audit_entry::Action;
use entity::member;
use entity::session::{Column, Entity, Model};
use parking_lot::Mutex;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use tracing::warn;
use uuid::Uuid;

use super::signed::{self, genuine};
use super::{Caller, Who, browsers};
use crate::audit::{self, Actor, Entry, Origin, Subject};
use crate::clock::{Clock, DAY_MS};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::installation::sealing_key;
use crate::secrets::{KeyRing, OneTimeSecret};

/// A session that is not used for so long ends.
pub const IDLE_MS: i64 = 8 * 3_600_000;
/// A session ends so long after its start.
pub const LIFE_MS: i64 = 7 * DAY_MS;
/// The use of a session is stored so often.
const USE_MS: i64 = 5 * 60_000;
/// How many sessions a member may have. Those that were not used for longest end.
const MOST: u64 = 50;
/// The longest name of a browser that is stored, in characters.
const USER_AGENT: usize = 200;
/// How long what was found is used again. The end of a session may be noticed this late by another replica.
const FRESH: Duration = Duration::from_millis(400);
/// How many sessions are cached. A full cache is cleared.
const CACHE: usize = 4096;

/// What signs in: a browser at an address.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub address: Option<IpAddr>,
    pub user_agent: String,
    /// The cookie of a browser in which somebody has signed in before, see [`super::browsers`].
    pub browser: Option<String>,
    /// Finds what the client did in the server's log.
    pub request_id: Uuid,
}

impl Client {
    /// Where something that `actor` does here comes from.
    pub fn origin(&self, actor: Actor) -> Origin {
        Origin { actor, address: self.address, request_id: Some(self.request_id) }
    }
}

/// How a member was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Password,
    Link,
    IdentityProvider,
}

/// A session that has just begun.
pub struct NewSession {
    /// For the cookie.
    pub secret: OneTimeSecret,
    pub member: member::Model,
    /// For the cookie by which the browser is known from now on; `None` if the member has no password.
    pub browser: Option<String>,
}

impl NewSession {
    /// How long a browser may keep the cookie.
    pub const MAX_AGE_MS: i64 = LIFE_MS;
}

/// What was found, and when.
type Cache<K, V> = Arc<Mutex<HashMap<K, (Instant, V)>>>;

/// The sessions of this installation. Clones share the caches.
#[derive(Clone)]
pub struct Sessions {
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) keys: Arc<KeyRing>,
    /// The identity provider whose accounts can sign in.
    pub(super) issuer: Option<Arc<str>>,
    callers: Cache<Vec<u8>, Option<Caller>>,
    validity: Cache<Uuid, bool>,
}

impl Sessions {
    pub fn new(db: Db, clock: Clock, keys: Arc<KeyRing>, issuer: Option<Arc<str>>) -> Self {
        Self { db, clock, keys, issuer, callers: Arc::default(), validity: Arc::default() }
    }

    /// The keys of the installation.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Begins a session of a member that was authenticated.
    pub(super) async fn begin(&self, tx: &Tx, member: member::Model, how: How, client: &Client) -> Result<NewSession> {
        let (secret, now) = (OneTimeSecret::new(), self.clock.now());
        let key = sealing_key(tx, &self.keys).await?;
        let row = Model {
            id: Uuid::now_v7(),
            hash: secret.hash(),
            member_id: member.id,
            created_at: now,
            last_used_at: now,
            expires_at: now + LIFE_MS,
            address: client.address.map(|address| address.to_string()),
            user_agent: client.user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT).collect(),
            signature: None,
            from_provider: how == How::IdentityProvider,
        };
        let detail = match how {
            How::Password => "A member signed in with a password.",
            How::Link => "A member signed in with a one-time link.",
            How::IdentityProvider => "A member signed in with the identity provider.",
        };
        let subject = Subject::session(row.id).named(&member.name);
        let entry = Entry::new(now, Action::SignedIn, detail).about(subject);
        audit::record(tx, entry.by(client.origin(actor(&member))));
        signed::insert::<Entity>(tx, &key, row).await?;
        let email = member.email.as_deref().filter(|_| member.password_hash.is_some());
        let browser = email.map(|email| browsers::remember(&key, email));
        let own = Entity::find().select_only().column(Column::Id).filter(Column::MemberId.eq(member.id));
        let oldest: Vec<Uuid> =
            own.order_by_desc(Column::LastUsedAt).offset(MOST).limit(MOST).into_tuple().all(tx.conn()).await?;
        Entity::delete_many().filter(is_over(now).or(Column::Id.is_in(oldest))).exec(tx.conn()).await?;
        Ok(NewSession { secret, member, browser })
    }

    /// The caller with the secret of a cookie; `None` if there is no such session.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<Caller>> {
        let Some(hash) = OneTimeSecret::hash_of(secret) else { return Ok(None) };
        if let Some(caller) = fresh(&self.callers, &hash) {
            return Ok(caller);
        }
        let row = Entity::find().filter(Column::Hash.eq(hash.clone())).one(self.db.reserved()).await?;
        let found = self.caller(row).await?;
        if let Some((session, _)) = &found
            && self.clock.now() - session.last_used_at >= USE_MS
            && let Err(error) = self.note_use(session.id).await
        {
            warn!(error = %error.chain(), "the use of a session could not be stored");
        }
        let caller = found.map(|(_, caller)| caller);
        keep(&self.callers, hash, caller.clone());
        Ok(caller)
    }

    /// Whether the caller's session is still valid. Open connections call this repeatedly, so the result is cached for
    /// a moment.
    pub async fn still_valid(&self, caller: &Caller, session: Uuid) -> Result<bool> {
        if let Some(valid) = fresh(&self.validity, &session) {
            return Ok(valid);
        }
        let valid = self.find_caller(session).await?.is_some_and(|now| now.role == caller.role);
        keep(&self.validity, session, valid);
        Ok(valid)
    }

    /// The caller with this session, without a cache; `None` if it has ended.
    pub async fn find_caller(&self, session: Uuid) -> Result<Option<Caller>> {
        let row = Entity::find_by_id(session).one(self.db.reserved()).await?;
        Ok(self.caller(row).await?.map(|(_, caller)| caller))
    }

    async fn caller(&self, row: Option<Model>) -> Result<Option<(Model, Caller)>> {
        let Some(session) = genuine(&self.keys, row).filter(|row| self.is_open(row)) else { return Ok(None) };
        let member = member::Entity::find_by_id(session.member_id).one(self.db.reserved()).await?;
        let member = genuine(&self.keys, member).filter(|member| member.disabled_at.is_none());
        Ok(member.map(|member| {
            let member::Model { id, name, email, role, .. } = member;
            let who = Who::Member { id, session: session.id };
            (session, Caller { who, name, email, role, scope: None, unlimited: false })
        }))
    }

    fn is_open(&self, session: &Model) -> bool {
        let now = self.clock.now();
        now < session.expires_at && now < session.last_used_at + IDLE_MS
    }

    async fn note_use(&self, id: Uuid) -> Result<()> {
        let now = self.clock.now();
        let note = self.db.write(|tx| async move {
            let key = sealing_key(&tx, &self.keys).await?;
            let row = Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
            // Requests of one browser come together, and one of them is enough.
            if let Some(row) = genuine(&self.keys, row).filter(|row| now - row.last_used_at >= USE_MS) {
                signed::update::<Entity>(&tx, &key, Model { last_used_at: now, ..row }).await?;
            }
            Ok(())
        });
        note.await
    }

    /// The open sessions of a member, the one that began last first.
    pub async fn list(&self, member: Uuid) -> Result<Vec<Model>> {
        let own = Entity::find().filter(Column::MemberId.eq(member)).order_by_desc(Column::Id);
        let rows = own.all(self.db.read()).await?;
        Ok(rows.into_iter().filter(|row| self.is_open(row)).collect())
    }

    /// The member whose session it is.
    pub async fn member_of(&self, session: Uuid) -> Result<Option<Uuid>> {
        Ok(Entity::find_by_id(session).one(self.db.read()).await?.map(|row| row.member_id))
    }

    /// Ends a session.
    pub async fn end(&self, session: Uuid) -> Result<()> {
        let now = self.clock.now();
        let end = self.db.write(|tx| async move {
            audit::record_change(&tx, now, || Subject::session(session), "");
            Ok(Entity::delete_by_id(session).exec(tx.conn()).await?)
        });
        end.await?;
        self.forget();
        Ok(())
    }

    /// Ends the session with the secret of a cookie, if there is one. Returns whether it began at the identity provider.
    pub async fn sign_out(&self, secret: &str, client: &Client) -> Result<bool> {
        let Some(hash) = &OneTimeSecret::hash_of(secret) else { return Ok(false) };
        // Anybody can send such a cookie, and must not occupy those who write.
        if Entity::find().filter(Column::Hash.eq(hash.clone())).one(self.db.reserved()).await?.is_none() {
            return Ok(false);
        }
        let now = self.clock.now();
        let sign_out = self.db.write(|tx| async move {
            let row = Entity::find().filter(Column::Hash.eq(hash.clone())).one(tx.conn()).await?;
            let Some(row) = row else { return Ok(false) };
            if let Some(member) = member::Entity::find_by_id(row.member_id).one(tx.conn()).await? {
                let subject = Subject::session(row.id).named(&member.name);
                let entry = Entry::new(now, Action::SignedOut, "A member signed out.").about(subject);
                audit::record(&tx, entry.by(client.origin(actor(&member))));
            }
            Entity::delete_by_id(row.id).exec(tx.conn()).await?;
            Ok(row.from_provider)
        });
        let from_provider = sign_out.await?;
        self.forget();
        Ok(from_provider)
    }

    /// Ends the sessions of a member, but for one. [`Self::forget`] follows the commit.
    pub(super) async fn end_others(&self, tx: &Tx, member: Uuid, kept: Option<Uuid>) -> Result<()> {
        let mut delete = Entity::delete_many().filter(Column::MemberId.eq(member));
        if let Some(kept) = kept {
            delete = delete.filter(Column::Id.ne(kept));
        }
        delete.exec(tx.conn()).await?;
        Ok(())
    }

    /// Clears the caches, so that this process notices at once what has changed.
    pub fn forget(&self) {
        self.callers.lock().clear();
        self.validity.lock().clear();
    }
}

/// Removes the sessions that are over. Returns how many those were.
pub async fn prune(tx: &Tx, now: i64) -> Result<u64> {
    Ok(Entity::delete_many().filter(is_over(now)).exec(tx.conn()).await?.rows_affected)
}

fn is_over(now: i64) -> SimpleExpr {
    Column::ExpiresAt.lte(now).or(Column::LastUsedAt.lte(now - IDLE_MS))
}

/// A member, as the audit log says who acts.
pub(super) fn actor(member: &member::Model) -> Actor {
    Actor::member(member.id, member.email.clone().unwrap_or_else(|| member.name.clone()))
}

fn fresh<K: Eq + Hash, V: Clone>(cache: &Cache<K, V>, key: &K) -> Option<V> {
    cache.lock().get(key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, value)| value.clone())
}

fn keep<K: Eq + Hash, V>(cache: &Cache<K, V>, key: K, value: V) {
    let mut cache = cache.lock();
    if cache.len() >= CACHE {
        cache.clear();
    }
    cache.insert(key, (now(), value));
}

#[expect(clippy::disallowed_methods, reason = "measures the age of cache entries")]
fn now() -> Instant {
    Instant::now()
}
