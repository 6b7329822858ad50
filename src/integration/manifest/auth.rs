//! How requests are signed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::expr::Path;
use super::template::{JsonTemplate, Template};

mod form;

pub(super) use form::AuthForm;

/// One of the alternatives for signing requests that a manifest offers.
#[derive(Debug)]
pub struct AuthOption {
    /// The value of the setting `authentication` that chooses it.
    pub key: String,
    /// The name that the form shows.
    pub label: String,
    pub auth: Auth,
}

/// How requests are signed.
#[derive(Debug)]
pub enum Auth {
    /// Requests are not signed.
    None,
    /// `Authorization: Bearer …`
    Bearer(Template),
    /// `Authorization: Basic …`
    Basic(Basic),
    /// Headers, by name.
    Header(BTreeMap<String, Template>),
    /// Query parameters, by name.
    Query(BTreeMap<String, Template>),
    /// OAuth 2.0 client credentials (RFC 6749, 4.4).
    ClientCredentials(ClientCredentials),
    /// OAuth 2.0 authorization code: a person consents (RFC 6749, 4.1).
    AuthorizationCode(AuthorizationCode),
    /// A token for a signed assertion (RFC 7523, 2.1).
    JwtBearer(JwtBearer),
    /// A login that gives a token or a cookie.
    Session(Session),
}

/// HTTP Basic authentication.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    pub username: Template,
    pub password: Template,
}

/// How the client authenticates itself at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic (RFC 6749, 2.3.1).
    #[default]
    Basic,
    /// `client_id` and `client_secret` in the body.
    Body,
    /// A signed assertion (RFC 7523, 2.2).
    PrivateKeyJwt,
    /// `client_id` only: a public client, which PKCE protects.
    None,
}

/// How an assertion is signed (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Algorithm {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

/// OAuth 2.0 client credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    pub token_url: Template,
    pub client_id: Template,
    #[serde(default)]
    pub client_secret: Option<Template>,
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// A PEM key, for `private_key_jwt`.
    #[serde(default)]
    pub private_key: Option<Template>,
    #[serde(default)]
    pub key_id: Option<Template>,
    #[serde(default)]
    pub algorithm: Algorithm,
    #[serde(default)]
    pub scopes: Vec<Template>,
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Further parameters. `grant_type` replaces the standard one.
    #[serde(default)]
    pub params: BTreeMap<String, Template>,
    /// The path of the token in the response.
    #[serde(default)]
    pub token_at: Option<Path>,
    /// The path of the token's lifetime in the response, in seconds.
    #[serde(default)]
    pub expires_in_at: Option<Path>,
    /// Parts of the response that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The headers that carry the token. By default `Authorization: Bearer`.
    #[serde(default)]
    pub header: BTreeMap<String, Template>,
}

/// OAuth 2.0 authorization code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationCode {
    pub authorize_url: Template,
    pub token_url: Template,
    /// What the provider announces to send as `iss` with each code (RFC 9207).
    #[serde(default)]
    pub issuer: Option<Template>,
    pub client_id: Template,
    #[serde(default)]
    pub client_secret: Option<Template>,
    #[serde(default)]
    pub client_auth: ClientAuth,
    #[serde(default)]
    pub scopes: Vec<Template>,
    #[serde(default = "space")]
    pub scope_separator: String,
    /// RFC 7636, S256.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Further parameters of the URL that the person is sent to.
    #[serde(default)]
    pub authorize_params: BTreeMap<String, Template>,
    /// Further parameters of each token request.
    #[serde(default)]
    pub params: BTreeMap<String, Template>,
    /// The path of the token in the response.
    #[serde(default)]
    pub token_at: Option<Path>,
    /// The path of the refresh token in the response.
    #[serde(default)]
    pub refresh_token_at: Option<Path>,
    /// The path of the token's lifetime in the response, in seconds.
    #[serde(default)]
    pub expires_in_at: Option<Path>,
    /// Parts of the response that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The headers that carry the token. By default `Authorization: Bearer`.
    #[serde(default)]
    pub header: BTreeMap<String, Template>,
}

/// A token for a signed assertion.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    pub token_url: Template,
    /// A PEM key.
    pub private_key: Template,
    #[serde(default)]
    pub key_id: Option<Template>,
    #[serde(default)]
    pub algorithm: Algorithm,
    pub issuer: Template,
    #[serde(default)]
    pub subject: Option<Template>,
    /// By default the address of the token endpoint.
    #[serde(default)]
    pub audience: Option<Template>,
    #[serde(default)]
    pub scopes: Vec<Template>,
    /// How long the assertion is valid.
    #[serde(default = "hour")]
    pub lifetime_seconds: u32,
    /// The path of the token in the response.
    #[serde(default)]
    pub token_at: Option<Path>,
    /// The path of the token's lifetime in the response, in seconds.
    #[serde(default)]
    pub expires_in_at: Option<Path>,
    /// Parts of the response that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The headers that carry the token. By default `Authorization: Bearer`.
    #[serde(default)]
    pub header: BTreeMap<String, Template>,
}

/// A login that gives a token or a cookie.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub login: Login,
    /// The name of the cookie that carries the session.
    #[serde(default)]
    pub cookie: Option<String>,
    /// The request that ends the session, signed with its token.
    #[serde(default)]
    pub logout: Option<Logout>,
    /// The path of the token in the response.
    #[serde(default)]
    pub token_at: Option<Path>,
    /// The path of the token's lifetime in the response, in seconds.
    #[serde(default)]
    pub expires_in_at: Option<Path>,
    /// Parts of the response that templates use as `{{found.x}}`, by name.
    #[serde(default)]
    pub keep: BTreeMap<String, Path>,
    /// The headers that carry the token. By default `Authorization: Bearer`.
    #[serde(default)]
    pub header: BTreeMap<String, Template>,
}

/// The request that begins a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Below `base_url`.
    #[serde(default)]
    pub path: Option<Template>,
    #[serde(default)]
    pub url: Option<Template>,
    #[serde(default)]
    pub json: Option<JsonTemplate>,
    #[serde(default)]
    pub form: Option<BTreeMap<String, Template>>,
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
}

/// The request that ends a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// Below `base_url`.
    pub path: Template,
}

fn space() -> String {
    " ".to_owned()
}

fn yes() -> bool {
    true
}

fn hour() -> u32 {
    3600
}

/// Where a token is in the token response, and where requests carry it.
#[derive(Clone, Copy)]
pub struct TokenRules<'a> {
    pub token_at: Option<&'a Path>,
    pub refresh_token_at: Option<&'a Path>,
    pub expires_in_at: Option<&'a Path>,
    pub keep: &'a BTreeMap<String, Path>,
    pub header: &'a BTreeMap<String, Template>,
}

impl Auth {
    /// The rules for the token, if this kind obtains one.
    pub fn token_rules(&self) -> Option<TokenRules<'_>> {
        let (token_at, refresh, expires, keep, header) = match self {
            Self::None | Self::Bearer(_) | Self::Basic(_) | Self::Header(_) | Self::Query(_) => return None,
            Self::ClientCredentials(kind) => (&kind.token_at, &None, &kind.expires_in_at, &kind.keep, &kind.header),
            Self::AuthorizationCode(kind) => {
                (&kind.token_at, &kind.refresh_token_at, &kind.expires_in_at, &kind.keep, &kind.header)
            }
            Self::JwtBearer(kind) => (&kind.token_at, &None, &kind.expires_in_at, &kind.keep, &kind.header),
            Self::Session(kind) => (&kind.token_at, &None, &kind.expires_in_at, &kind.keep, &kind.header),
        };
        Some(TokenRules {
            token_at: token_at.as_ref(),
            refresh_token_at: refresh.as_ref(),
            expires_in_at: expires.as_ref(),
            keep,
            header,
        })
    }

    /// The address of the token request, if it is not below `base_url`.
    pub fn address(&self) -> Option<&Template> {
        match self {
            Self::None | Self::Bearer(_) | Self::Basic(_) | Self::Header(_) | Self::Query(_) => None,
            Self::ClientCredentials(kind) => Some(&kind.token_url),
            Self::AuthorizationCode(kind) => Some(&kind.token_url),
            Self::JwtBearer(kind) => Some(&kind.token_url),
            Self::Session(kind) => kind.login.url.as_ref(),
        }
    }

    pub fn kind(&self) -> AuthenticationKind {
        match self {
            Self::None => AuthenticationKind::None,
            Self::Bearer(_) | Self::Header(_) | Self::Query(_) => AuthenticationKind::ApiToken,
            Self::Basic(_) | Self::Session(_) => AuthenticationKind::Basic,
            Self::ClientCredentials(_) => AuthenticationKind::OAuth2ClientCredentials,
            Self::AuthorizationCode(_) => AuthenticationKind::OAuth2AuthorizationCode,
            Self::JwtBearer(_) => AuthenticationKind::ServiceAccount,
        }
    }
}

/// The kind of credential that an integration needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "graphql", derive(async_graphql::Enum))]
pub enum AuthenticationKind {
    /// No credential.
    None,
    /// A token or key that a person creates in the application.
    ApiToken,
    /// A user name and a password.
    Basic,
    /// OAuth 2.0 client credentials.
    #[cfg_attr(feature = "graphql", graphql(name = "OAUTH2_CLIENT_CREDENTIALS"))]
    OAuth2ClientCredentials,
    /// OAuth 2.0 authorization code: a person consents in the browser.
    #[cfg_attr(feature = "graphql", graphql(name = "OAUTH2_AUTHORIZATION_CODE"))]
    OAuth2AuthorizationCode,
    /// The key of a service account.
    ServiceAccount,
}

impl AuthenticationKind {
    /// The name that the form shows if the manifest gives none.
    pub fn label(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::ApiToken => "API token",
            Self::Basic => "User name and password",
            Self::OAuth2ClientCredentials => "OAuth 2.0, as an application",
            Self::OAuth2AuthorizationCode => "OAuth 2.0, with consent",
            Self::ServiceAccount => "Service account",
        }
    }
}
