//! The careful HTTP client: one call, one bounded answer.
//!
//! Built once per process. It speaks HTTP/1.1, follows no redirect, takes no
//! proxy from the environment, keeps no cookies, and calls only addresses that
//! [`Addresses`] permits: https to public ones and to the allowed networks,
//! plain http within the allowed networks only.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use url::{Host, Origin, Url, form_urlencoded};

use super::address::{Addresses, Blocked, GuardedResolver, Reach, Unresolved};
use super::retry::RetryPolicy;

/// The name under which this server calls.
const USER_AGENT: &str = concat!("muster/", env!("CARGO_PKG_VERSION"));
/// The most that is read of an answer that is not a success, in bytes.
const LONGEST_REFUSAL: usize = 256 * 1024;
/// The most that all headers of an answer may take, in bytes.
const LONGEST_HEADERS: usize = 64 * 1024;

/// What a [`Client`] is built from.
#[derive(Clone)]
pub struct ClientSettings {
    /// Networks of private or loopback addresses that may be called.
    pub allowed_networks: Vec<IpNet>,
    pub connect_timeout: Duration,
    /// The longest pause within an answer.
    pub idle_timeout: Duration,
    /// The longest call, from the connection to the last byte.
    pub call_timeout: Duration,
    /// The longest page, in bytes after decompression.
    pub page_bytes: usize,
    pub retry: RetryPolicy,
    /// Calls for the first origin go to the second: a mock server, or a recording proxy.
    pub detours: Vec<(Origin, Url)>,
    /// The wall clock, in Unix milliseconds.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// A number from 0 to 1, for the jitter of waits.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl ClientSettings {
    /// The product's figures, with this clock and this randomness.
    pub fn new(
        allowed_networks: Vec<IpNet>,
        now: impl Fn() -> i64 + Send + Sync + 'static,
        random: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            allowed_networks,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_mins(2),
            page_bytes: 32 * 1024 * 1024,
            retry: RetryPolicy::default(),
            detours: Vec::new(),
            now: Arc::new(now),
            random: Arc::new(random),
        }
    }
}

/// The client of all connections; cloning it shares its connections.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    settings: Arc<ClientSettings>,
}

/// One call and its answer.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, call: Call) -> Result<Answer, CallError>;
}

/// A call to be made. It has no `Debug`, because it holds the credential.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Body>,
}

/// What a call sends.
#[derive(Clone)]
pub enum Body {
    Json(Value),
    Form(Vec<(String, String)>),
}

impl Call {
    pub fn get(url: Url, headers: HeaderMap) -> Self {
        Self { method: Method::GET, url, headers, body: None }
    }

    /// A POST, if there is something to send.
    pub fn with(url: Url, headers: HeaderMap, body: Option<Body>) -> Self {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        Self { method, url, headers, body }
    }
}

/// The network.
struct Network {
    encrypted: reqwest::Client,
    plain: reqwest::Client,
    addresses: Addresses,
    detours: Vec<(Origin, Url)>,
    page_bytes: usize,
}

/// An answer, whole and bounded.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Decompressed. Of a refusal, possibly only the beginning.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("the address may not be called")]
    Blocked,
    #[error("plain http may not be used for this address")]
    Unencrypted,
    #[error("the name could not be resolved")]
    Unresolved,
    #[error("no connection came about")]
    Unreachable,
    #[error("no encrypted connection came about")]
    Tls,
    #[error("the answer did not come in time")]
    TimedOut,
    #[error("the answer broke off")]
    BrokeOff,
    #[error("the answer is too long")]
    TooLong,
}

impl Client {
    /// Fails if the system's certificates cannot be loaded. The process must
    /// have installed a rustls provider before.
    pub fn new(settings: ClientSettings) -> Result<Self, reqwest::Error> {
        let addresses = Addresses::new(settings.allowed_networks.clone());
        let shared = Arc::new(addresses.clone());
        let build = |reach| {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .http1_only()
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .connect_timeout(settings.connect_timeout)
                .read_timeout(settings.idle_timeout)
                .timeout(settings.call_timeout)
                .https_only(reach == Reach::PublicOrAllowed)
                .dns_resolver(GuardedResolver { addresses: Arc::clone(&shared), reach })
                .build()
        };
        let network = Network {
            encrypted: build(Reach::PublicOrAllowed)?,
            plain: build(Reach::AllowedOnly)?,
            addresses,
            detours: settings.detours.clone(),
            page_bytes: settings.page_bytes,
        };
        Ok(Self::over(Arc::new(network), settings))
    }

    /// A client whose calls something else answers, such as recorded samples.
    pub fn over(transport: Arc<dyn Transport>, settings: ClientSettings) -> Self {
        Self { transport, settings: Arc::new(settings) }
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    pub(super) async fn send(&self, call: Call) -> Result<Answer, CallError> {
        self.transport.send(call).await
    }
}

#[async_trait]
impl Transport for Network {
    /// The caller's headers are sent as they are.
    async fn send(&self, mut call: Call) -> Result<Answer, CallError> {
        if let Some((_, target)) = self.detours.iter().find(|(origin, _)| *origin == call.url.origin()) {
            let mut url = target.clone();
            url.set_path(&format!("{}{}", target.path().trim_end_matches('/'), call.url.path()));
            url.set_query(call.url.query());
            call.url = url;
        }
        let Call { method, url, headers, body } = call;
        let plain = url.scheme() == "http";
        let (client, reach) =
            if plain { (&self.plain, Reach::AllowedOnly) } else { (&self.encrypted, Reach::PublicOrAllowed) };
        let refused = if plain { CallError::Unencrypted } else { CallError::Blocked };
        // A literal address never reaches the resolver. The url crate has already
        // turned 0x7f.1, 017700000001 and 2130706433 into 127.0.0.1.
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|ip| !self.addresses.permits(ip, reach)) {
            return Err(refused);
        }
        let mut request = client.request(method, url);
        request = match body {
            None => request,
            Some(Body::Json(body)) => request.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            Some(Body::Form(pairs)) => {
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
        };
        let outcome = request.headers(headers).send().await;
        let response = outcome.map_err(|error| match call_error(&error) {
            CallError::Blocked => refused,
            other => other,
        })?;
        self.read(response).await
    }
}

impl Network {
    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, CallError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length > LONGEST_HEADERS {
            return Err(CallError::TooLong);
        }
        let mut body = Vec::new();
        if status.is_success() {
            while let Some(chunk) = response.chunk().await.map_err(|error| call_error(&error))? {
                if body.len() + chunk.len() > self.page_bytes {
                    return Err(CallError::TooLong);
                }
                body.extend_from_slice(&chunk);
            }
        } else {
            // The status has said enough: what can be had of the explanation is taken.
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() >= LONGEST_REFUSAL {
                    body.truncate(LONGEST_REFUSAL);
                    break;
                }
            }
        }
        Ok(Answer { status, headers, body })
    }
}

fn call_error(error: &reqwest::Error) -> CallError {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<Blocked>() {
            return CallError::Blocked;
        }
        if cause.is::<Unresolved>() {
            return CallError::Unresolved;
        }
        if cause.is::<rustls::Error>() {
            return CallError::Tls;
        }
        // The source of an I/O error is the source of what it wraps, and skips that itself.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    if error.is_connect() {
        CallError::Unreachable
    } else if error.is_timeout() {
        CallError::TimedOut
    } else {
        CallError::BrokeOff
    }
}
