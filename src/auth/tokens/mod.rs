//! Authentication with API tokens.
//!
//! A token is a prefix, which secret scanners can look for, and 192 random bits. Only its
//! SHA-256 is stored; a random token needs no slow hash. It is shown once, when it is created.
//! A revoked token stops working within a second, on every replica.
//!
//! Each row is signed with the installation's key. A row that somebody else wrote or changed is no valid token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::api_token::{Column, Entity, Model};
use parking_lot::Mutex;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use tracing::warn;
use uuid::Uuid;

use super::{Caller, Role, Who};
use crate::clock::Clock;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::installation::sealing_key;
use crate::secrets::{self, Fields, KeyRing, SecretKey};

const PREFIX: &str = "muster_";
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

impl From<Model> for Caller {
    fn from(token: Model) -> Self {
        let Model { id, name, email, role, unlimited, .. } = token;
        Caller { who: Who::Token(id), name, email, role, scope: None, unlimited }
    }
}

/// Whether a token was valid, and when that was. Locked while it is looked up, so that all its connections wait for one
/// answer.
type Validity = tokio::sync::Mutex<Option<(Instant, bool)>>;
type CallerCache = HashMap<Vec<u8>, (Instant, Option<Caller>)>;

/// The API tokens of this installation. Clones share the caches.
#[derive(Clone)]
pub struct Tokens {
    db: Db,
    clock: Clock,
    keys: Arc<KeyRing>,
    callers: Arc<Mutex<CallerCache>>,
    validity: Arc<Mutex<HashMap<Uuid, Arc<Validity>>>>,
}

impl Tokens {
    pub fn new(db: Db, clock: Clock, keys: Arc<KeyRing>) -> Self {
        Self { db, clock, keys, callers: Arc::default(), validity: Arc::default() }
    }

    /// Creates a token and returns it. It cannot be read again.
    pub async fn create(&self, name: &str, role: Role, email: Option<String>, allowance: Allowance) -> Result<String> {
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secrets::random::<24>()));
        let row = &Model {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            hash: secrets::hash(&token),
            role,
            email,
            created_at: self.clock.now(),
            revoked_at: None,
            unlimited: allowance == Allowance::Unlimited,
            signature: None,
        };
        let insert = self.db.write(|tx| async move {
            let signature = sealing_key(&tx, &self.keys).await?.sign_row(&signed_fields(row));
            let row = Model { signature: Some(signature), ..row.clone() };
            Ok(row.into_active_model().reset_all().insert(tx.conn()).await?)
        });
        insert.await?;
        Ok(token)
    }

    /// All tokens, including revoked ones, oldest first.
    pub async fn list(&self) -> Result<Vec<Model>> {
        Ok(Entity::find().order_by_asc(Column::Id).all(self.db.read()).await?)
    }

    /// Revokes every token with this name. Returns how many there were.
    pub async fn revoke(&self, name: &str) -> Result<u64> {
        let valid = &Entity::find().filter(Column::Name.eq(name)).filter(Column::RevokedAt.is_null()).lock_exclusive();
        let now = self.clock.now();
        let revoke = self.db.write(|tx| async move {
            let rows = valid.clone().all(tx.conn()).await?;
            let key = sealing_key(&tx, &self.keys).await?;
            for row in &rows {
                let row = Model { revoked_at: Some(now), ..row.clone() };
                store_signature(&tx, &key, &row).await?;
            }
            Ok(rows.len() as u64)
        });
        revoke.await
    }

    /// The caller with this token; `None` if it is not a valid token.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>> {
        if !token.starts_with(PREFIX) || token.len() > 128 {
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
        let caller = found.filter(|token| self.is_genuine(token)).map(Caller::from);
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
        let valid = found
            .is_some_and(|token| token.revoked_at.is_none() && token.role == caller.role && self.is_genuine(&token));
        *known = Some((now(), valid));
        Ok(valid)
    }

    /// The caller with this token id, without a cache; `None` if the token was revoked.
    pub async fn find_caller(&self, id: Uuid) -> Result<Option<Caller>> {
        let found = Entity::find_by_id(id).filter(Column::RevokedAt.is_null()).one(self.db.reserved()).await?;
        Ok(found.filter(|token| self.is_genuine(token)).map(Caller::from))
    }

    /// Whether the row is as this installation wrote it.
    fn is_genuine(&self, token: &Model) -> bool {
        let genuine = is_signed(&self.keys, token);
        if !genuine {
            warn!(token.id = %token.id, "an API token is refused, because its row was written outside of Muster; see `muster doctor`");
        }
        genuine
    }
}

/// Everything in a row that decides what the bearer of the token may do.
fn signed_fields(token: &Model) -> Fields {
    let Model { id, name, hash, role, email, created_at, revoked_at, unlimited, signature: _ } = token;
    let fields = Fields::default()
        .text("api_token")
        .bytes(id.as_bytes())
        .text(name)
        .bytes(hash)
        .text(&role.to_value())
        .optional(email.as_deref(), Fields::text)
        .number(*created_at)
        .optional(*revoked_at, Fields::number);
    // Rows that were signed before there were limits have no such field.
    if *unlimited { fields.text("unlimited") } else { fields }
}

/// Whether a key of this installation has signed the row of a token.
pub fn is_signed(keys: &KeyRing, token: &Model) -> bool {
    token.signature.as_deref().is_some_and(|signature| keys.has_signed_row(&signed_fields(token), signature))
}

/// Stores a changed row of a token with a new signature.
pub async fn store_signature(tx: &Tx, key: &SecretKey, token: &Model) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(token.revoked_at))
        .col_expr(Column::Signature, Expr::value(key.sign_row(&signed_fields(token))))
        .filter(Column::Id.eq(token.id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "measures the age of cache entries")]
fn now() -> Instant {
    Instant::now()
}
