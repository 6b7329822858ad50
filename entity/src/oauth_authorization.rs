//! A pending OAuth authorization: a person was sent to an application to give consent and has not returned yet.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_authorization")]
pub struct Model {
    /// SHA-256 of the `state` parameter that the application sends back with the person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: Vec<u8>,
    /// SHA-256 of the cookie that must come back too. Null if the authorization was not begun in a browser.
    pub browser_hash: Option<Vec<u8>>,
    pub integration_key: String,
    /// The instance to reconnect; null to create a new one.
    pub instance_id: Option<Uuid>,
    /// The name of the new instance.
    pub name: Option<String>,
    /// The interval of the new instance.
    pub sync_interval_minutes: Option<i32>,
    /// The submitted settings and the PKCE verifier, sealed.
    pub sealed: Vec<u8>,
    /// The API token or the session of the member who began it.
    pub token_id: Uuid,
    /// The name of that member in histories.
    pub actor: String,
    pub created_at: i64,
    pub expires_at: i64,
    /// Whether the person is sent back to the address of the integration, and not to the one that all integrations shared.
    pub own_redirect: bool,
}

impl ActiveModelBehavior for ActiveModel {}
