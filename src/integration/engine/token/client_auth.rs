//! How a client shows the token endpoint who it is (RFC 6749, 2.3; RFC 7523, 2.2).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::sign_in::{Request, SignIn};
use super::statement::{self, Key};
use crate::engine::classify::plain_error;
use crate::engine::client::Body;
use crate::manifest::auth::ClientAuth;
use crate::manifest::template::Template;
use crate::source::{ErrorClass, SourceError};

/// How long a statement about the client holds, in seconds.
const LIFETIME: i64 = 300;

/// What a client proves itself with.
pub struct ClientProof<'a> {
    pub method: ClientAuth,
    pub id: &'a Template,
    pub secret: Option<&'a Template>,
    pub key: Option<Key<'a>>,
}

impl ClientProof<'_> {
    /// The request with this form, and the proof put on it.
    pub fn request(
        &self,
        sign_in: &SignIn,
        url: &Url,
        mut form: Vec<(String, String)>,
    ) -> Result<Request, SourceError> {
        let id = sign_in.expand(self.id);
        let secret = self.secret.map(|secret| sign_in.expand(secret)).unwrap_or_default();
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
                let key = self.key.as_ref().ok_or_else(statement::unusable)?;
                let now = sign_in.now() / 1000;
                let claims = json!({
                    "iss": id, "sub": id, "aud": url.as_str(),
                    "iat": now, "exp": now + LIFETIME, "jti": statement::new_id(sign_in),
                });
                let assertion = key.sign(sign_in, &claims)?;
                secrets.push(assertion.clone());
                // The statement names the client (RFC 7521, 4.2); where its id is wanted too, it is one of `params`.
                add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned());
                add("client_assertion", assertion);
            }
        }
        let mut request = Request::new(Body::Form(form));
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        request.secrets = secrets;
        Ok(request)
    }
}

fn unsendable() -> SourceError {
    let message = "The client's id or secret has characters in it that cannot be sent; paste it again.";
    plain_error(ErrorClass::Config, message.to_owned())
}
