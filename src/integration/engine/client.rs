//! The HTTP client: sends one request, and reads one response of bounded size.
//!
//! Built once per process. It speaks HTTP/1.1, follows no redirect, uses no proxy from the
//! environment and keeps no cookies. It connects only to addresses that [`Addresses`]
//! permits: https to public addresses and the allowed networks, plain http to the allowed
//! networks only.
//!
//! With a proxy, https requests go through it, except to the allowed networks. Addresses, and
//! names that this machine can resolve, are checked before; other names are left to the proxy.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Method, Proxy, StatusCode, redirect};
use serde_json::Value;
use url::{Host, Origin, Url, form_urlencoded};

use super::address::{Addresses, GuardedResolver, Reach};
use super::host_limit::{Counted, HostLimits};
use super::memory::{Memory, Share};
use super::retry::RetryPolicy;
use super::transport::TransportError;

const USER_AGENT: &str = concat!("muster/", env!("CARGO_PKG_VERSION"));
/// How much of an error response is read, in bytes.
const MAX_ERROR_BODY: usize = 256 * 1024;
/// The size limit for all headers of a response together, in bytes.
const MAX_HEADERS: usize = 64 * 1024;

/// The settings of a [`Client`].
#[derive(Clone)]
pub struct ClientSettings {
    /// Private or loopback networks that may be called.
    pub allowed_networks: Vec<IpNet>,
    pub connect_timeout: Duration,
    /// The longest pause between two parts of a response.
    pub idle_timeout: Duration,
    /// The time limit for a whole request, from connecting to the last byte.
    pub call_timeout: Duration,
    /// The size limit for a page, in bytes after decompression.
    pub page_bytes: usize,
    /// Whether the status says everything: of any response, at most `page_bytes` are read, and what is missing does not
    /// matter.
    pub only_beginning: bool,
    pub retry: RetryPolicy,
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub ca_certificates: Vec<u8>,
    /// The proxy for https requests.
    pub https_proxy: Option<Url>,
    /// Requests for the first origin are sent to the second, such as a mock server or a recording proxy.
    pub detours: Vec<(Origin, Url)>,
    /// The wall clock, in Unix milliseconds.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// A random number from 0 to 1, for the jitter of waits.
    pub random: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl ClientSettings {
    /// The defaults, with the given clock and source of randomness.
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
            only_beginning: false,
            retry: RetryPolicy::default(),
            ca_certificates: Vec::new(),
            https_proxy: None,
            detours: Vec::new(),
            now: Arc::new(now),
            random: Arc::new(random),
        }
    }
}

/// The client that all sources share; cloning it shares its pool of connections.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    settings: Arc<ClientSettings>,
    limits: Arc<HostLimits>,
    memory: Memory,
    /// The integration that the requests belong to.
    integration: Option<Arc<str>>,
    /// How many requests wait for their turn.
    waiting: Arc<AtomicUsize>,
}

/// Sends a request and returns the response.
#[async_trait]
pub trait Transport: Send + Sync {
    /// `share` is what the response takes of the memory for responses.
    async fn send(&self, request: Request, share: &mut Share) -> Result<Response, TransportError>;
}

/// A request to an application. It has no `Debug`, because it holds the credential once it is signed.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Body>,
}

/// The body of a request.
#[derive(Clone)]
pub enum Body {
    Json(Value),
    Form(Vec<(String, String)>),
    /// JSON that is sent as it is written, because it is signed.
    WrittenJson(String),
}

impl Request {
    pub fn get(url: Url, headers: HeaderMap) -> Self {
        Self { method: Method::GET, url, headers, body: None }
    }

    /// A POST if there is a body, and a GET otherwise.
    pub fn with_body(url: Url, headers: HeaderMap, body: Option<Body>) -> Self {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        Self { method, url, headers, body }
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Decompressed. Of an error response, possibly only the beginning.
    pub body: Vec<u8>,
}

impl Client {
    /// Fails if the certificates cannot be loaded, or if the address of the proxy cannot be used. The
    /// process must have installed a rustls provider before.
    pub fn new(settings: ClientSettings) -> Result<Self, reqwest::Error> {
        let addresses = Addresses::new(settings.allowed_networks.clone());
        let shared = Arc::new(addresses.clone());
        let authorities = Certificate::from_pem_bundle(&settings.ca_certificates)?;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .http1_only()
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .connect_timeout(settings.connect_timeout)
                .read_timeout(settings.idle_timeout)
                .timeout(settings.call_timeout)
                .tls_certs_merge(authorities.clone())
        };
        let direct = |reach| {
            builder()
                .https_only(reach == Reach::PublicOrAllowed)
                .dns_resolver(GuardedResolver { addresses: Arc::clone(&shared), reach })
                .build()
        };
        let through = |proxy: &Url| builder().https_only(true).proxy(Proxy::https(proxy.clone())?).build();
        let network = Network {
            encrypted: direct(Reach::PublicOrAllowed)?,
            plain: direct(Reach::AllowedOnly)?,
            proxied: settings.https_proxy.as_ref().map(through).transpose()?,
            addresses,
            resolve_timeout: settings.connect_timeout,
            detours: settings.detours.clone(),
            page_bytes: settings.page_bytes,
            only_beginning: settings.only_beginning,
        };
        Ok(Self::with_transport(Arc::new(network), settings))
    }

    /// A client whose requests are answered by something other than the network, such as recorded samples.
    pub fn with_transport(transport: Arc<dyn Transport>, settings: ClientSettings) -> Self {
        let (limits, memory, waiting) = Default::default();
        Self { transport, settings: Arc::new(settings), limits, memory, integration: None, waiting }
    }

    /// The same client with something around its transport.
    #[must_use]
    pub fn wrapped(self, wrap: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport>) -> Self {
        Self { transport: wrap(self.transport), ..self }
    }

    /// The client for one connection of an integration.
    pub(super) fn of(&self, integration: &str) -> Self {
        let memory = self.memory.for_another();
        Self { integration: Some(integration.into()), waiting: Arc::default(), memory, ..self.clone() }
    }

    /// The limits of requests at once, which all sources share.
    pub fn limits(&self) -> &Arc<HostLimits> {
        &self.limits
    }

    /// Whether a request waits until other requests have ended.
    pub(super) fn is_queued(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// Sends a request once, such as one for a token.
    pub async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let _turn = self.limits.enter(self.integration.as_deref(), &request.url, &self.waiting).await;
        self.transport.send(request, &mut self.memory.share_at_once()).await
    }

    /// The same, however many others are sent to the host: for a caller that limits itself.
    pub async fn send_at_once(&self, request: Request) -> Result<Response, TransportError> {
        self.transport.send(request, &mut self.memory.share_at_once()).await
    }

    /// Sends a request for data when there is memory for the response. It is sent again if the response turns out to
    /// need more.
    pub(super) async fn fetch(&self, request: Request) -> Result<(Response, Share), TransportError> {
        let mut share = self.memory.share();
        loop {
            let turn = self.limits.enter(self.integration.as_deref(), &request.url, &self.waiting).await;
            if share.take_expected() {
                match self.transport.send(request.clone(), &mut share).await {
                    Err(TransportError::NoRoom) => {}
                    sent => return Ok((sent?, share)),
                }
            }
            drop(turn);
            let _counted = Counted::new(&self.waiting);
            share.wait().await;
        }
    }
}

/// The real network.
struct Network {
    encrypted: reqwest::Client,
    plain: reqwest::Client,
    /// Sends requests through the proxy, if there is one.
    proxied: Option<reqwest::Client>,
    addresses: Addresses,
    resolve_timeout: Duration,
    detours: Vec<(Origin, Url)>,
    page_bytes: usize,
    only_beginning: bool,
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, mut request: Request, share: &mut Share) -> Result<Response, TransportError> {
        if let Some((_, target)) = self.detours.iter().find(|(origin, _)| *origin == request.url.origin()) {
            let mut url = target.clone();
            url.set_path(&format!("{}{}", target.path().trim_end_matches('/'), request.url.path()));
            url.set_query(request.url.query());
            request.url = url;
        }
        let Request { method, url, headers, body } = request;
        let plain = url.scheme() == "http";
        let reach = if plain { Reach::AllowedOnly } else { Reach::PublicOrAllowed };
        let refused = if plain { TransportError::Unencrypted } else { TransportError::Blocked };
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
        let client = match &self.proxied {
            Some(proxied) if !plain && !self.is_direct(&url, literal).await? => proxied,
            _ if plain => &self.plain,
            _ => &self.encrypted,
        };
        let mut builder = client.request(method, url);
        builder = match body {
            None => builder,
            Some(Body::Json(body)) => builder.header(CONTENT_TYPE, "application/json").body(body.to_string()),
            Some(Body::WrittenJson(body)) => builder.header(CONTENT_TYPE, "application/json").body(body),
            Some(Body::Form(pairs)) => {
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
            }
        };
        let sent = builder.headers(headers).send().await;
        let response = sent.map_err(|error| match TransportError::of(&error) {
            TransportError::Blocked => refused,
            other => other,
        })?;
        self.read(response, share).await
    }
}

impl Network {
    /// Whether an https request is sent directly although there is a proxy, because it leads to the
    /// allowed networks. Fails if this machine knows that it leads to another closed network.
    async fn is_direct(&self, url: &Url, literal: Option<IpAddr>) -> Result<bool, TransportError> {
        if let Some(ip) = literal {
            return Ok(self.addresses.allows(ip));
        }
        let lookup = tokio::net::lookup_host((url.host_str().unwrap_or_default(), 0));
        let Ok(Ok(found)) = tokio::time::timeout(self.resolve_timeout, lookup).await else { return Ok(false) };
        let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        if found.iter().any(|ip| !self.addresses.permits(*ip, Reach::PublicOrAllowed)) {
            return Err(TransportError::Blocked);
        }
        Ok(!found.is_empty() && found.iter().all(|ip| self.addresses.allows(*ip)))
    }

    async fn read(&self, mut response: reqwest::Response, share: &mut Share) -> Result<Response, TransportError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length > MAX_HEADERS {
            return Err(TransportError::TooLong);
        }
        let mut body = Vec::new();
        if status.is_success() && !self.only_beginning {
            let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
            let announced = announced.unwrap_or_default().min(self.page_bytes);
            if !share.grow(announced, announced) {
                return Err(TransportError::NoRoom);
            }
            while let Some(chunk) = response.chunk().await.map_err(|error| TransportError::of(&error))? {
                let length = body.len() + chunk.len();
                if length > self.page_bytes {
                    return Err(TransportError::TooLong);
                }
                // Twice as much, so that it is not given up again and again.
                if !share.grow(length, (2 * length).min(self.page_bytes)) {
                    return Err(TransportError::NoRoom);
                }
                body.extend_from_slice(&chunk);
            }
            share.fit(body.len());
        } else {
            // The status alone is enough to classify the error, so an explanation that breaks off is kept.
            let most = if self.only_beginning { self.page_bytes } else { MAX_ERROR_BODY };
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() >= most {
                    body.truncate(most);
                    break;
                }
            }
        }
        Ok(Response { status, headers, body })
    }
}
