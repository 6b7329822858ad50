//! Creating, listing and revoking tokens.

use entity::api_token::{Column, Entity, Model};
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use uuid::Uuid;

use super::row::store_signature;
use super::{Allowance, Tokens, text};
use crate::audit::{self, Subject};
use crate::auth::members::check_name;
use crate::auth::{Role, Scope, signed};
use crate::clock::{DAY_MS, date_time};
use crate::db::{self, Total, Tx, any_contains};
use crate::error::{Refusal, Result};
use crate::installation::sealing_key;
use crate::mail::EmailAddress;
use crate::secrets::{self, SecretKey};

/// How long a token is valid if nobody says something else, in milliseconds.
pub const LIFETIME_MS: i64 = 365 * DAY_MS;
/// How long before its end a token expires soon, in milliseconds.
pub const SOON_MS: i64 = 30 * DAY_MS;

/// The name of a token, trimmed.
pub fn name(text: &str) -> Result<String, Refusal> {
    check_name(text)
}

/// The address of a token, as it was typed.
pub fn address(text: &str) -> Result<String, Refusal> {
    let address = text.parse::<EmailAddress>().map_err(|reason| Refusal::invalid(reason.to_string(), ["email"]))?;
    Ok(address.as_str().to_owned())
}

/// A token that is to be created.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    /// Gets mail about the instances that are created with the token.
    pub email: Option<String>,
    pub allowance: Allowance,
    /// The instances that it is limited to.
    pub scope: Option<Scope>,
    /// When it stops working, in milliseconds since 1970; `None` for never.
    pub expires_at: Option<i64>,
    /// The member that it belongs to. It ends with the member.
    pub member_id: Option<Uuid>,
    /// The address or name of the member, or the name of the token, that creates it through the API.
    pub created_by: Option<String>,
    /// The member who answers for it. It administers members and tokens as long as this member does.
    pub creator_id: Option<Uuid>,
}

impl NewToken {
    /// A token of the installation for all instances, which never expires.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
            email: None,
            allowance: Allowance::Limited,
            scope: None,
            expires_at: None,
            member_id: None,
            created_by: None,
            creator_id: None,
        }
    }
}

/// A token that was created. Its text cannot be read again.
pub struct Created {
    pub text: String,
    pub row: Model,
}

/// Whether a token works now, as far as its row says.
pub fn has_ended(token: &Model, now: i64) -> bool {
    token.revoked_at.is_some() || token.expires_at.is_some_and(|at| at <= now)
}

/// Whether a token that works now will expire soon.
pub fn expires_soon(token: &Model, now: i64) -> bool {
    !has_ended(token, now) && token.expires_at.is_some_and(|at| at <= now + SOON_MS)
}

/// Those with this text in the name or the address; all without a text.
fn found(search: Option<&str>) -> Select<Entity> {
    Entity::find().filter(any_contains([Column::Name, Column::Email], search))
}

/// Revokes the personal tokens of a member.
pub async fn revoke_personal(tx: &Tx, key: &SecretKey, member: Uuid, now: i64) -> Result<()> {
    let own = Entity::find().filter(Column::MemberId.eq(member)).filter(Column::RevokedAt.is_null());
    for token in own.lock_exclusive().all(tx.conn()).await? {
        store_signature(tx, key, &Model { revoked_at: Some(now), ..token }).await?;
    }
    Ok(())
}

impl Tokens {
    pub async fn create(&self, new: NewToken) -> Result<Created> {
        let NewToken { name, role, email, allowance, scope, expires_at, member_id, created_by, creator_id } = new;
        let text = text::generate();
        let row = &Model {
            id: Uuid::now_v7(),
            name,
            hash: secrets::hash(&text),
            role,
            email,
            created_at: self.clock.now(),
            revoked_at: None,
            unlimited: allowance == Allowance::Unlimited,
            expires_at,
            last_used_at: None,
            scope: scope.as_ref().map(serde_json::to_string).transpose()?,
            member_id,
            created_by,
            creator_id,
            signature: None,
        };
        let describe = &describe(row, scope.as_ref());
        let insert = self.db.write(|tx| async move {
            let key = sealing_key(&tx, &self.keys).await?;
            self.record_change(&tx, row, describe);
            signed::insert::<Entity>(&tx, &key, row.clone()).await
        });
        Ok(Created { row: Box::pin(insert).await?, text })
    }

    /// The token with this id, if this installation has written it so.
    pub async fn find(&self, id: Uuid) -> Result<Option<Model>> {
        Ok(signed::genuine(&self.keys, Entity::find_by_id(id).one(self.db.reserved()).await?))
    }

    /// All tokens, including those that have ended, oldest first.
    pub async fn list(&self) -> Result<Vec<Model>> {
        Ok(Entity::find().order_by_asc(Column::Id).all(self.db.read()).await?)
    }

    /// One page of all tokens, or of those with this text in the name or the address, newest first.
    pub async fn page(&self, search: Option<&str>, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
        let own = Condition::all().add_option(before.map(|before| Column::Id.lt(before)));
        let page = found(search).filter(own).order_by_desc(Column::Id).limit(limit);
        self.db.read().rows(page.into_query()).await
    }

    /// How many tokens there are on these pages.
    pub async fn total(&self, search: Option<&str>) -> Result<Total> {
        db::total(self.db.read(), found(search)).await
    }

    /// The tokens that will expire soon, those first that expire first.
    pub async fn expiring(&self) -> Result<Vec<Model>> {
        let now = self.clock.now();
        let soon = Entity::find()
            .filter(Column::RevokedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .filter(Column::ExpiresAt.lte(now + SOON_MS))
            .order_by_asc(Column::ExpiresAt);
        Ok(soon.all(self.db.read()).await?)
    }

    /// Revokes every token with this name. Returns how many there were.
    pub async fn revoke(&self, name: &str) -> Result<u64> {
        let valid = &Entity::find().filter(Column::Name.eq(name)).filter(Column::RevokedAt.is_null()).lock_exclusive();
        let revoke = self.db.write(|tx| async move {
            let rows = valid.clone().all(tx.conn()).await?;
            for row in &rows {
                self.revoke_row(&tx, row).await?;
            }
            Ok(rows.len() as u64)
        });
        Box::pin(revoke).await
    }

    /// Revokes one token, which may be revoked already. `None` if there is none with this id.
    pub async fn revoke_one(&self, id: Uuid) -> Result<Option<Model>> {
        let own = &Entity::find_by_id(id).lock_exclusive();
        let revoke = self.db.write(|tx| async move {
            match own.clone().one(tx.conn()).await? {
                Some(row) if row.revoked_at.is_none() => self.revoke_row(&tx, &row).await.map(Some),
                found => Ok(found),
            }
        });
        revoke.await
    }

    async fn revoke_row(&self, tx: &Tx, row: &Model) -> Result<Model> {
        let row = Model { revoked_at: Some(self.clock.now()), ..row.clone() };
        let key = sealing_key(tx, &self.keys).await?;
        store_signature(tx, &key, &row).await?;
        self.record_change(tx, &row, "");
        Ok(row)
    }

    fn record_change(&self, tx: &Tx, token: &Model, change: &str) {
        audit::record_change(tx, self.clock.now(), || Subject::token(token.id).named(&token.name), change);
    }
}

/// What the bearer of a token may do, and for how long, for the audit log.
fn describe(token: &Model, scope: Option<&Scope>) -> String {
    let mut told = vec![format!("Role: {}", token.role.to_value())];
    told.push(match scope {
        None => "all instances".to_owned(),
        Some(Scope { integrations, instances }) => {
            format!("limited to {} integrations and {} instances", integrations.len(), instances.len())
        }
    });
    told.push(match token.expires_at {
        Some(at) => format!("expires on {}", date_time(at).format("%Y-%m-%d")),
        None => "never expires".to_owned(),
    });
    told.extend(token.member_id.map(|_| "personal".to_owned()));
    told.extend(token.unlimited.then(|| "without limits".to_owned()));
    told.join("; ") + "."
}
