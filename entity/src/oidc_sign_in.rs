//! A sign-in with the identity provider that came back: its state is not accepted again. Nothing in a row is secret.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oidc_sign_in")]
pub struct Model {
    /// SHA-256 of the `state` parameter that the identity provider sends back with the person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub state_hash: Vec<u8>,
    /// SHA-256 of the cookie of the browser in which it was begun.
    pub browser_hash: Vec<u8>,
    /// The path that the person was sent to afterwards.
    pub return_to: String,
    /// The address, or the network of IPv6, that it came back from.
    pub address: String,
    /// When its state would have expired.
    pub expires_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
