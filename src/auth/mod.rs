//! Who may call: API tokens, hashed at rest.
//!
//! A token is 192 random bits behind a prefix that secret scanners can look for. Only
//! its SHA-256 is stored: a random token needs no slow hash. It is shown once, when it
//! is made. A revoked token stops working within a second, everywhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use entity::api_token::Role;
use entity::api_token::{ActiveModel, Column, Entity, Model};
use parking_lot::{Mutex, MutexGuard};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::secrets;

const PREFIX: &str = "muster_";
/// How long an answer about a token is believed, and so how late a revocation may be noticed.
const BELIEVED: Duration = Duration::from_millis(900);
/// The same for what is open; it asks twice a second.
const STANDING: Duration = Duration::from_millis(400);
/// How many answers are kept; past that the oldest are forgotten all at once.
const KEPT: usize = 1024;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub token_id: Uuid,
    pub name: String,
    pub email: Option<String>,
    pub role: Role,
}

impl Caller {
    fn of(token: Model) -> Self {
        let Model { id, name, email, role, .. } = token;
        Caller { token_id: id, name, email, role }
    }

    /// As events and histories name the caller: by address, or else by the token's name.
    pub fn label(&self) -> String {
        self.email.clone().unwrap_or_else(|| self.name.clone())
    }
}

type Known = HashMap<Vec<u8>, (Instant, Option<Caller>)>;

/// The API tokens of this installation; clones share what they remember.
#[derive(Clone)]
pub struct Tokens {
    db: Db,
    clock: Clock,
    known: Arc<Mutex<Known>>,
    standing: Arc<Mutex<HashMap<Uuid, (Instant, bool)>>>,
}

impl Tokens {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock, known: Arc::default(), standing: Arc::default() }
    }

    /// Makes a token and answers it; it cannot be had again.
    pub async fn create(&self, name: &str, role: Role, email: Option<String>) -> Result<String> {
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secrets::random::<24>()));
        let row = &ActiveModel {
            id: Set(Uuid::now_v7()),
            name: Set(name.to_owned()),
            hash: Set(secrets::hash(&token)),
            role: Set(role),
            email: Set(email),
            created_at: Set(self.clock.now()),
            revoked_at: Set(None),
        };
        self.db.write(|tx| async move { Ok(row.clone().insert(tx.conn()).await?) }).await?;
        Ok(token)
    }

    /// All tokens, oldest first, revoked ones too.
    pub async fn list(&self) -> Result<Vec<Model>> {
        Ok(Entity::find().order_by_asc(Column::Id).all(self.db.read()).await?)
    }

    /// Revokes every token of that name; answers how many there were.
    pub async fn revoke(&self, name: &str) -> Result<u64> {
        let revoke = &Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(self.clock.now()))
            .filter(Column::Name.eq(name))
            .filter(Column::RevokedAt.is_null());
        self.db.write(|tx| async move { Ok(revoke.clone().exec(tx.conn()).await?.rows_affected) }).await
    }

    /// Whose token it is; `None` when it is nobody's.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>> {
        if !token.starts_with(PREFIX) || token.len() > 128 {
            return Ok(None);
        }
        let hash = secrets::hash(token);
        if let Some((at, caller)) = self.remembered().get(&hash)
            && at.elapsed() < BELIEVED
        {
            return Ok(caller.clone());
        }
        let found = Entity::find()
            .filter(Column::Hash.eq(hash.clone()))
            .filter(Column::RevokedAt.is_null())
            .one(self.db.read())
            .await?;
        let caller = found.map(Caller::of);
        let mut known = self.remembered();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(hash, (now(), caller.clone()));
        Ok(caller)
    }

    /// Whether the caller's token still stands. Asked about again and again by whatever is
    /// open, so an answer is believed for a moment.
    pub async fn still_valid(&self, caller: &Caller) -> Result<bool> {
        let id = caller.token_id;
        if let Some((at, valid)) = self.standing.lock().get(&id)
            && at.elapsed() < STANDING
        {
            return Ok(*valid);
        }
        let found = Entity::find_by_id(id).one(self.db.read()).await?;
        let valid = found.is_some_and(|token| token.revoked_at.is_none() && token.role == caller.role);
        self.standing.lock().insert(id, (now(), valid));
        Ok(valid)
    }

    /// Whose token that is, as of now; `None` when it was revoked.
    pub async fn bearer(&self, id: Uuid) -> Result<Option<Caller>> {
        let found = Entity::find_by_id(id).filter(Column::RevokedAt.is_null()).one(self.db.read()).await?;
        Ok(found.map(Caller::of))
    }

    fn remembered(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

#[expect(clippy::disallowed_methods, reason = "how long an answer is believed is no business of the product's clock")]
fn now() -> Instant {
    Instant::now()
}
