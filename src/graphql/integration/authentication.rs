//! The ways to authenticate with an application.

use async_graphql::SimpleObject;

use crate::graphql::written::Fields;
use integration::catalog;
use integration::manifest::auth::AuthenticationKind;

/// A way to authenticate with an application.
#[derive(SimpleObject, Fields)]
pub struct AuthenticationOption {
    /// The value of the setting `authentication` that chooses it, if there are several.
    key: String,
    /// Its label in a form.
    label: String,
    /// The kind of credential that it needs.
    kind: AuthenticationKind,
    /// The address of this server to register in the application, to which the application sends people back
    /// after their consent; null unless the kind is `OAUTH2_AUTHORIZATION_CODE`. Each integration has its own. What was
    /// registered with `/oauth/callback` and connected by an earlier version keeps that address, until it is connected
    /// with another client id.
    redirect_uri: Option<String>,
}

impl AuthenticationOption {
    pub fn of(option: &catalog::AuthenticationOption, redirect_uri: &str) -> Self {
        let catalog::AuthenticationOption { key, label, kind } = option.clone();
        let redirect_uri = (kind == AuthenticationKind::OAuth2AuthorizationCode).then(|| redirect_uri.to_owned());
        Self { key, label, kind, redirect_uri }
    }
}
