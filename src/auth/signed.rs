//! Rows that are signed with the installation's key, because they decide who may do what. A row that somebody else
//! wrote or changed is not valid.

use entity::{member, member_identity, member_link, session};
use sea_orm::{ActiveEnum, ActiveModelTrait, EntityTrait, IntoActiveModel};
use tracing::warn;

use crate::db::Tx;
use crate::error::Result;
use crate::secrets::{Fields, KeyRing, SecretKey};

/// The row of a table whose rows are signed.
pub trait Signed: Sized {
    /// Everything in the row that is authenticated.
    fn fields(&self) -> Fields;
    fn signature(&self) -> Option<&[u8]>;
    #[must_use]
    fn with_signature(self, signature: Vec<u8>) -> Self;
}

impl Signed for member::Model {
    fn fields(&self) -> Fields {
        let Self { id, name, email, role, password_hash, created_at, disabled_at, signature: _ } = self;
        Fields::default()
            .text("member")
            .bytes(id.as_bytes())
            .text(name)
            .optional(email.as_deref(), Fields::text)
            .text(&role.to_value())
            .optional(password_hash.as_deref(), Fields::text)
            .number(*created_at)
            .optional(*disabled_at, Fields::number)
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    fn with_signature(self, signature: Vec<u8>) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

impl Signed for member_identity::Model {
    fn fields(&self) -> Fields {
        let Self { issuer, subject, member_id, created_at, signature: _ } = self;
        let fields = Fields::default().text("member_identity").text(issuer).text(subject);
        fields.bytes(member_id.as_bytes()).number(*created_at)
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    fn with_signature(self, signature: Vec<u8>) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

impl Signed for member_link::Model {
    fn fields(&self) -> Fields {
        let Self { hash, purpose, member_id, expires_at, signature: _ } = self;
        let fields = Fields::default().text("member_link").bytes(hash).text(&purpose.to_value());
        fields.optional(*member_id, |fields, id| fields.bytes(id.as_bytes())).number(*expires_at)
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    fn with_signature(self, signature: Vec<u8>) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

impl Signed for session::Model {
    fn fields(&self) -> Fields {
        let Self {
            id,
            hash,
            member_id,
            created_at,
            last_used_at,
            expires_at,
            address,
            user_agent,
            from_provider: _,
            signature: _,
        } = self;
        Fields::default()
            .text("session")
            .bytes(id.as_bytes())
            .bytes(hash)
            .bytes(member_id.as_bytes())
            .number(*created_at)
            .number(*last_used_at)
            .number(*expires_at)
            .optional(address.as_deref(), Fields::text)
            .text(user_agent)
    }

    fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }

    fn with_signature(self, signature: Vec<u8>) -> Self {
        Self { signature: Some(signature), ..self }
    }
}

/// Whether a key of this installation has signed the row.
pub fn is_signed(keys: &KeyRing, row: &impl Signed) -> bool {
    row.signature().is_some_and(|signature| keys.has_signed_row(&row.fields(), signature))
}

/// The row, if a key of this installation has signed it.
pub fn genuine<R: Signed>(keys: &KeyRing, row: Option<R>) -> Option<R> {
    let row = row?;
    if is_signed(keys, &row) {
        return Some(row);
    }
    warn!("a row about members is refused, because it was written outside of Muster; see `muster doctor`");
    None
}

/// Signs a new row and stores it.
pub async fn insert<E>(tx: &Tx, key: &SecretKey, row: E::Model) -> Result<E::Model>
where
    E: EntityTrait,
    E::Model: Signed + IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let signature = key.sign_row(&row.fields());
    Ok(row.with_signature(signature).into_active_model().reset_all().insert(tx.conn()).await?)
}

/// Signs a changed row and stores it. The caller has locked it.
pub async fn update<E>(tx: &Tx, key: &SecretKey, row: E::Model) -> Result<E::Model>
where
    E: EntityTrait,
    E::Model: Signed + IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let signature = key.sign_row(&row.fields());
    Ok(row.with_signature(signature).into_active_model().reset_all().update(tx.conn()).await?)
}
