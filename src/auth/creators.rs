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
    let members = member::Entity::find().filter(member::Column::Email.is_not_null());
    let members = members.order_by_asc(member::Column::Id).all(tx.conn()).await?;
    let tokens = Entity::find().filter(Column::Email.is_not_null()).order_by_asc(Column::Id).all(tx.conn()).await?;
    if !has_left(&key, &members, &tokens) {
        return Ok(Some(creator));
    }
    let member = members.into_iter().find(|member| member.role == Role::Admin && member.disabled_at.is_none());
    let token = || tokens.into_iter().find(|token| token.role == Role::Admin && !has_ended(token, now));
    Ok(member.and_then(|member| member.email).or_else(|| token().and_then(|token| token.email)))
}

/// Whether nobody with this address, in lower case, may use the server any more.
fn has_left(key: &str, members: &[member::Model], tokens: &[Model]) -> bool {
    let is_own = |email: &Option<String>| email.as_ref().is_some_and(|email| email.to_lowercase() == key);
    if let Some(member) = members.iter().find(|member| is_own(&member.email)) {
        return member.disabled_at.is_some();
    }
    let mut own = tokens.iter().filter(|token| is_own(&token.email)).peekable();
    own.peek().is_some() && own.all(|token| token.revoked_at.is_some())
}
