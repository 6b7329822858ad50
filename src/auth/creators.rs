//! Who answers for what somebody created who may no longer use the server.

use entity::api_token::{Column, Entity, Model};
use entity::member;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::Role;
use super::tokens::has_ended;
use crate::db::Tx;
use crate::error::Result;

/// The address of a creator. If the member with this address is disabled, or if there is no such member and all tokens
/// with this address were revoked, that of an administrator: the member, or else the token, that is the oldest. `None` if
/// none has an address.
pub async fn answerable(tx: &Tx, creator: String, now: i64) -> Result<Option<String>> {
    let key = creator.to_lowercase();
    let own = member::Entity::find().filter(member::Column::Email.eq(&key)).one(tx.conn()).await?;
    let tokens = Entity::find().filter(Column::Email.is_not_null()).order_by_asc(Column::Id).all(tx.conn()).await?;
    let has_left = own.map_or_else(|| is_revoked(&key, &tokens), |member| member.disabled_at.is_some());
    if !has_left {
        return Ok(Some(creator));
    }
    let admins = member::Entity::find().filter(member::Column::Role.eq(Role::Admin));
    let admins = admins.filter(member::Column::DisabledAt.is_null()).filter(member::Column::Email.is_not_null());
    let member = admins.order_by_asc(member::Column::Id).one(tx.conn()).await?;
    let token = || tokens.into_iter().find(|token| token.role == Role::Admin && !has_ended(token, now));
    Ok(member.and_then(|member| member.email).or_else(|| token().and_then(|token| token.email)))
}

/// Whether there were tokens with this address, in lower case, and all were revoked.
fn is_revoked(key: &str, tokens: &[Model]) -> bool {
    let is_own = |token: &&Model| token.email.as_ref().is_some_and(|email| email.to_lowercase() == key);
    let mut own = tokens.iter().filter(is_own).peekable();
    own.peek().is_some() && own.all(|token| token.revoked_at.is_some())
}
