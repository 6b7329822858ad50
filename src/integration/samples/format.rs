//! The format of a file of samples.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use url::Url;

use crate::manifest::template::OneOrMany;
use crate::source::{Capability, Config, ErrorClass};
use crate::user::{SourceUser, Timestamp};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The settings of every case.
    #[serde(default)]
    pub config: Config,
    pub cases: Vec<Spanned<Case>>,
}

/// One replay of a listing or a check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// Settings that replace those of the file; an empty value removes one.
    #[serde(default)]
    pub config: Config,
    /// The grant of a person's consent, if the kind of auth needs one.
    #[serde(default)]
    pub grant: Option<SampleGrant>,
    /// Replays the connection check instead of the listing.
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub exchanges: Vec<Spanned<Exchange>>,
    /// All users, in any order.
    #[serde(default)]
    pub users: Option<Spanned<Vec<Spanned<SourceUser>>>>,
    #[serde(default)]
    pub lost: Option<Spanned<BTreeSet<Capability>>>,
    #[serde(default)]
    pub tenant: Option<Spanned<String>>,
    #[serde(default)]
    pub credential_expires_at: Option<Spanned<Timestamp>>,
    #[serde(default)]
    pub error: Option<Spanned<SampleError>>,
}

/// A request that must be sent, and the recorded response.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    pub call: Spanned<Call>,
    #[serde(default)]
    pub json: Option<Value>,
    #[serde(default)]
    pub form: Option<BTreeMap<String, OneOrMany<String>>>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub answer: Spanned<Answer>,
}

/// `GET https://…`
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub url: Url,
}

/// The recorded response.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, OneOrMany<String>>,
    #[serde(default, deserialize_with = "given")]
    pub body: Option<Value>,
    #[serde(default)]
    pub text: Option<String>,
}

/// The error that is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleError {
    pub class: ErrorClass,
    #[serde(default)]
    pub definite: Option<bool>,
    #[serde(default)]
    pub permissions: Option<BTreeSet<String>>,
    #[serde(default)]
    pub retry_after_seconds: Option<f64>,
    /// A part of the expected message.
    #[serde(default)]
    pub message: Option<String>,
}

/// The tokens from a consent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleGrant {
    pub access_token: String,
    #[serde(default)]
    pub refresh_token: Option<String>,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    pub refresh_expires_at: Option<Timestamp>,
    #[serde(default)]
    pub found: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

/// Makes `body: null` a body.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parse = || {
            let (method, url) = text.split_once(' ')?;
            let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
            let method = known.into_iter().find(|known| known.as_str() == method)?;
            let url = Url::parse(url.trim()).ok().filter(Url::has_host)?;
            Some(Self { method, url })
        };
        parse().ok_or_else(|| {
            de::Error::custom("a call is the method and the whole address: GET https://api.example.com/users?limit=100")
        })
    }
}

impl Call {
    /// The method and the address without parameters.
    pub fn address(&self) -> String {
        format!("{} {}{}", self.method, self.url.origin().ascii_serialization(), self.url.path())
    }
}

impl Case {
    /// Why the case cannot be replayed.
    pub fn shape(&self) -> Vec<(Option<Location>, String)> {
        let mut wrong = Vec::new();
        for Spanned { value: exchange, referenced: at, .. } in &self.exchanges {
            if exchange.json.is_some() && exchange.form.is_some() {
                wrong.push((Some(*at), "a call sends either json or form; write one of them".to_owned()));
            }
            let Spanned { value: answer, referenced: at, .. } = &exchange.answer;
            if answer.body.is_some() && answer.text.is_some() {
                let message = "an answer has either body (JSON) or text; write one of them";
                wrong.push((Some(*at), message.to_owned()));
            }
            if !(100..=599).contains(&answer.status) {
                wrong.push((Some(*at), "status codes are from 100 to 599".to_owned()));
            }
            if let Err(name) = answer.headers() {
                wrong.push((Some(*at), format!("the header “{name}” cannot be sent")));
            }
        }
        let mut seen = BTreeSet::new();
        for Spanned { value: user, referenced: at, .. } in self.users.iter().flat_map(|users| &users.value) {
            if !seen.insert(&user.external_id) {
                let message = format!("“{}” is among the users twice; users are compared by id", user.external_id);
                wrong.push((Some(*at), message));
            }
        }
        wrong
    }
}

impl Answer {
    /// The headers as a server sends them. Fails with the name of the first header that cannot be sent.
    pub fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if self.text.is_some() {
            headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
        } else if self.body.is_some() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, values) in &self.headers {
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| name.clone())?;
            headers.remove(&header);
            for value in &values.0 {
                headers.append(&header, HeaderValue::from_str(value).map_err(|_| name.clone())?);
            }
        }
        Ok(headers)
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)
    }

    pub fn bytes(&self) -> Vec<u8> {
        match (&self.body, &self.text) {
            (Some(body), _) => body.to_string().into_bytes(),
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}
