//! The row of a token, which the installation's key signs.

use std::sync::Arc;

use entity::api_token::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter};

use super::super::signed::Signed;
use super::super::{Caller, Seen, Who};
use crate::db::Tx;
use crate::error::Result;
use crate::secrets::{Fields, SecretKey};

/// The caller with a token.
pub(super) fn caller(token: &Model) -> Caller {
    let Model { id, name, email, role, unlimited, .. } = token.clone();
    Caller { who: Who::Token(id), name, email, role, scope: scope(token), unlimited }
}

/// The instances that a token is limited to; none if only a newer version can read its scope.
pub fn scope(token: &Model) -> Seen {
    token.scope.as_deref().map(|scope| Arc::new(serde_json::from_str(scope).unwrap_or_default()))
}

impl Signed for Model {
    /// Everything in a row that decides what the bearer of the token may do.
    fn fields(&self) -> Fields {
        let Model {
            id,
            name,
            hash,
            role,
            email,
            created_at,
            revoked_at,
            unlimited,
            expires_at,
            scope,
            member_id,
            created_by,
            creator_id,
            last_used_at: _,
            signature: _,
        } = self;
        let mut fields = Fields::default()
            .text("api_token")
            .bytes(id.as_bytes())
            .text(name)
            .bytes(hash)
            .text(&role.to_value())
            .optional(email.as_deref(), Fields::text)
            .number(*created_at)
            .optional(*revoked_at, Fields::number);
        // Rows that earlier versions have signed have none of these fields.
        if *unlimited {
            fields = fields.text("unlimited");
        }
        if let Some(at) = expires_at {
            fields = fields.text("expires_at").number(*at);
        }
        if let Some(scope) = scope {
            fields = fields.text("scope").text(scope);
        }
        if let Some(member) = member_id {
            fields = fields.text("member_id").bytes(member.as_bytes());
        }
        if let Some(maker) = created_by {
            fields = fields.text("created_by").text(maker);
        }
        if let Some(creator) = creator_id {
            fields = fields.text("creator_id").bytes(creator.as_bytes());
        }
        fields
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    fn with_signature(self, signature: Vec<u8>) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

/// Stores a changed row of a token with a new signature.
pub async fn store_signature(tx: &Tx, key: &SecretKey, token: &Model) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(token.revoked_at))
        .col_expr(Column::Signature, Expr::value(key.sign_row(&token.fields())))
        .filter(Column::Id.eq(token.id))
        .exec(tx.conn())
        .await?;
    Ok(())
}
