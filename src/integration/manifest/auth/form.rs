//! How a manifest writes an alternative of `auth`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Auth, AuthOption, AuthorizationCode, Basic, ClientCredentials, JwtBearer, Session};
use crate::manifest::template::Template;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthForm {
    /// The value of the setting `authentication` that chooses it; required if there are several.
    key: Option<String>,
    /// The name that the form shows; required if there are several.
    label: Option<String>,
    /// `Authorization: Bearer …`
    bearer: Option<Template>,
    /// `Authorization: Basic …`
    basic: Option<Basic>,
    /// Headers, by name.
    header: Option<BTreeMap<String, Template>>,
    /// Query parameters, by name.
    query: Option<BTreeMap<String, Template>>,
    /// OAuth 2.0 client credentials (RFC 6749, 4.4).
    oauth2_client_credentials: Option<ClientCredentials>,
    /// OAuth 2.0 authorization code: a person consents (RFC 6749, 4.1).
    oauth2_authorization_code: Option<Box<AuthorizationCode>>,
    /// A token for a signed assertion (RFC 7523, 2.1).
    jwt_bearer: Option<Box<JwtBearer>>,
    /// A login that gives a token or a cookie.
    session: Option<Box<Session>>,
}

impl TryFrom<AuthForm> for AuthOption {
    type Error = &'static str;

    fn try_from(form: AuthForm) -> Result<Self, Self::Error> {
        let kinds = [
            form.bearer.map(Auth::Bearer),
            form.basic.map(Auth::Basic),
            form.header.map(Auth::Header),
            form.query.map(Auth::Query),
            form.oauth2_client_credentials.map(Auth::ClientCredentials),
            form.oauth2_authorization_code.map(|kind| Auth::AuthorizationCode(*kind)),
            form.jwt_bearer.map(|kind| Auth::JwtBearer(*kind)),
            form.session.map(|kind| Auth::Session(*kind)),
        ];
        let mut given = kinds.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(auth), None) => {
                Ok(Self { key: form.key.unwrap_or_default(), label: form.label.unwrap_or_default(), auth })
            }
            _ => Err("write exactly one of bearer, basic, header, query, oauth2_client_credentials, \
                      oauth2_authorization_code, jwt_bearer and session; or auth: none"),
        }
    }
}

impl<'de> Deserialize<'de> for AuthOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AuthVisitor;
        impl<'de> Visitor<'de> for AuthVisitor {
            type Value = AuthOption;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("none, or a kind of authentication such as {bearer: …}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AuthOption, E> {
                match text {
                    "none" => Ok(AuthOption { key: String::new(), label: String::new(), auth: Auth::None }),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AuthOption, A::Error> {
                AuthForm::deserialize(MapAccessDeserializer::new(map))?.try_into().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(AuthVisitor)
    }
}
