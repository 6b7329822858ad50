//! A person who was sent to an application for their consent, and is not back yet.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_authorization")]
pub struct Model {
    /// SHA-256 of the `state` that comes back with the person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: Vec<u8>,
    /// SHA-256 of the cookie that must come with it; none if no browser was there to keep one.
    pub browser_hash: Option<Vec<u8>>,
    pub integration_key: String,
    /// The instance to be reconnected; none if there is to be a new one.
    pub instance_id: Option<Uuid>,
    /// Of the new instance.
    pub name: Option<String>,
    /// Of the new instance.
    pub sync_interval_minutes: Option<i32>,
    /// The values of the form and the PKCE verifier, sealed.
    pub sealed: Vec<u8>,
    /// The token of the member who began it.
    pub token_id: Uuid,
    /// The member, as histories name them.
    pub actor: String,
    pub created_at: i64,
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
