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

use ipnet::IpNet;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, redirect};
use url::{Host, Url};

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
            now: Arc::new(now),
            random: Arc::new(random),
        }
    }
}

/// The client of all connections; cloning it shares its connections.
#[derive(Clone)]
pub struct Client {
    encrypted: reqwest::Client,
    plain: reqwest::Client,
    addresses: Arc<Addresses>,
    settings: Arc<ClientSettings>,
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
        let addresses = Arc::new(Addresses::new(settings.allowed_networks.clone()));
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
                .dns_resolver(GuardedResolver { addresses: Arc::clone(&addresses), reach })
                .build()
        };
        Ok(Self {
            encrypted: build(Reach::PublicOrAllowed)?,
            plain: build(Reach::AllowedOnly)?,
            addresses,
            settings: Arc::new(settings),
        })
    }

    pub(super) fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// One call. The caller's headers are sent as they are.
    pub(super) async fn get(&self, url: Url, headers: HeaderMap) -> Result<Answer, CallError> {
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
        let outcome = client.get(url).headers(headers).send().await;
        let response = outcome.map_err(|error| match call_error(&error) {
            CallError::Blocked => refused,
            other => other,
        })?;
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, CallError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length > LONGEST_HEADERS {
            return Err(CallError::TooLong);
        }
        let mut body = Vec::new();
        if status.is_success() {
            while let Some(chunk) = response.chunk().await.map_err(|error| call_error(&error))? {
                if body.len() + chunk.len() > self.settings.page_bytes {
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
