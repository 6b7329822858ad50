//! Client authentication at the token endpoint (RFC 6749, 2.3; RFC 7523, 2.2).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::assertion::{self, Key};
use super::endpoint::{TokenEndpoint, TokenRequest};
use crate::engine::client::Body;
use crate::manifest::auth::ClientAuth;
use crate::manifest::template::Template;
use crate::source::{ErrorClass, SourceError};

/// How long an assertion is valid, in seconds.
const ASSERTION_LIFETIME: i64 = 300;

/// How the client authenticates itself.
pub struct ClientAuthentication<'a> {
    pub method: ClientAuth,
    pub id: &'a Template,
    pub secret: Option<&'a Template>,
    pub key: Option<Key<'a>>,
}

impl ClientAuthentication<'_> {
    /// A request with this form and the client authentication.
    pub fn request(
        &self,
        endpoint: &TokenEndpoint,
        url: &Url,
        mut form: Vec<(String, String)>,
    ) -> Result<TokenRequest, SourceError> {
        let id = endpoint.expand(self.id);
        let secret = self.secret.map(|secret| endpoint.expand(secret)).unwrap_or_default();
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        let mut authorization = None;
        let mut secrets = Vec::new();
        match self.method {
            ClientAuth::Basic => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = BASE64_STANDARD.encode(format!("{}:{}", encode(&id), encode(&secret)));
                let mut value = HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| unsendable())?;
                value.set_sensitive(true);
                authorization = Some(value);
                secrets.push(pair);
            }
            ClientAuth::Body => {
                add("client_id", id);
                add("client_secret", secret);
            }
            ClientAuth::None => add("client_id", id),
            ClientAuth::PrivateKeyJwt => {
                let key = self.key.as_ref().ok_or_else(assertion::unusable)?;
                let now = endpoint.now() / 1000;
                let claims = json!({
                    "iss": id, "sub": id, "aud": url.as_str(),
                    "iat": now, "exp": now + ASSERTION_LIFETIME, "jti": assertion::new_id(endpoint),
                });
                let assertion = key.sign(endpoint, &claims)?;
                secrets.push(assertion.clone());
                // The assertion names the client (RFC 7521, 4.2). An application that wants `client_id` too gets it
                // by `params`.
                add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned());
                add("client_assertion", assertion);
            }
        }
        let mut request = TokenRequest::new(Body::Form(form));
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        request.secrets = secrets;
        Ok(request)
    }
}

fn unsendable() -> SourceError {
    let message = "The client's id or secret contains characters that cannot be sent; paste it again.";
    SourceError::new(ErrorClass::Config, message)
}
