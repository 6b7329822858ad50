//! Sending through an SMTP server: the URL, a small pool of connections, and the dialogue for one message.
//!
//! Only lettre's connection is used, not its transport. The transport returns a connection to its pool when a timeout
//! cuts a message off in the middle, waits for a greeting without a limit, and does not say whether the server refused
//! the session or the message.

use std::error::Error as _;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Noop, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use tokio::time::{Instant, timeout};
use url::Url;

use super::{MESSAGE_LIMIT, SendError, StillOurs, refusal, text};

const IDLE_CONNECTIONS: usize = 4;

/// How long the server may take.
struct Limits {
    /// To accept a connection on one of its addresses, or to answer NOOP on an idle connection.
    connect: Duration,
    /// To answer one command, or to complete the greeting.
    step: Duration,
    /// For one message in all.
    message: Duration,
    /// How long an idle connection is kept. Servers close it after some minutes.
    idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let [connect, step, message, idle] = [10, 30, 60, 60].map(Duration::from_secs);
        Self { connect, step, message, idle }
    }
}

pub(super) struct Smtp {
    host: String,
    port: u16,
    security: Security,
    hello: ClientId,
    login: Option<Login>,
    limits: Limits,
    idle: Mutex<Vec<Idle>>,
}

enum Security {
    None,
    /// STARTTLS if the server offers it.
    Opportunistic(TlsParameters),
    Required(TlsParameters),
    /// TLS from the first byte.
    Wrapper(TlsParameters),
}

struct Login {
    user: String,
    password: String,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    /// Parses a URL of the form that lettre documents. The error does not contain it. `helo` is the name that we
    /// introduce ourselves with if the URL has none. `authorities` are certificates in PEM that are trusted besides
    /// those of the system.
    pub(super) fn from_url(url: &str, helo: ClientId, authorities: Option<&[u8]>) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|e| format!("the SMTP URL cannot be read: {e}"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the SMTP URL names no host")?;
        // The brackets of an IPv6 address are a part of the URL only.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (security, usual_port) = Security::from_url(&url, &host, authorities)?;
        let hello = match url.path().trim_matches('/') {
            "" => helo,
            name => helo_name(name).ok_or("the path of the SMTP URL is not a host name for EHLO".to_owned())?,
        };
        let login = Login::from_url(&url)?;
        let security = if login.is_some() && !is_loopback(&host) { security.for_login()? } else { security };
        let port = url.port().unwrap_or(usual_port);
        Ok(Self { host, port, security, hello, login, limits: Limits::default(), idle: Mutex::default() })
    }

    pub(super) fn describe(&self) -> String {
        let security = match self.security {
            Security::None => "unencrypted",
            Security::Opportunistic(_) => "STARTTLS if offered",
            Security::Required(_) => "STARTTLS",
            Security::Wrapper(_) => "TLS",
        };
        let login = if self.login.is_some() { "signed in" } else { "not signed in" };
        let Self { host, port, hello, .. } = self;
        format!("mail is sent by SMTP through {host} port {port} ({security}, {login}) as {hello}")
    }

    pub(super) async fn send(
        &self,
        envelope: &Envelope,
        message: &[u8],
        still_ours: StillOurs<'_>,
    ) -> Result<(), SendError> {
        timeout(self.limits.message, self.attempt(envelope, message, still_ours)).await.unwrap_or_else(|_| {
            Err(SendError::temporary("The mail server did not accept the message within a minute."))
        })
    }

    /// Closes the connection when it fails or is dropped.
    async fn attempt(&self, envelope: &Envelope, message: &[u8], still_ours: StillOurs<'_>) -> Result<(), SendError> {
        let mut connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let parameters = parameters(&connection, envelope, message)?;
        // The sender is a setting, so its refusal says nothing about the recipient.
        let mail = Mail::new(envelope.from().cloned(), parameters);
        self.step(connection.command(mail)).await.map_err(|e| self.session_error("The sender was not accepted", &e))?;
        for to in envelope.to() {
            self.step(connection.command(Rcpt::new(to.clone(), vec![]))).await.map_err(|e| self.message_error(&e))?;
        }
        self.step(connection.command(Data)).await.map_err(|e| self.message_error(&e))?;
        // A process that was suspended resumes in the middle of the dialogue without noticing.
        if !still_ours() {
            return Err(SendError::temporary("The message was held back, because another process may send it."));
        }
        self.step(connection.message(message)).await.map_err(|e| self.message_error(&e))?;
        self.keep_idle(connection);
        Ok(())
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        let wrapper = match &self.security {
            Security::Wrapper(tls) => Some(tls.clone()),
            Security::None | Security::Opportunistic(_) | Security::Required(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let opening =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.limits.connect), &self.hello, wrapper, None);
        let mut connection =
            self.step(opening).await.map_err(|e| self.session_error("The mail server cannot be reached", &e))?;
        let starttls = match &self.security {
            Security::Required(tls) => Some(tls),
            Security::Opportunistic(tls) if connection.can_starttls() => Some(tls),
            Security::None | Security::Opportunistic(_) | Security::Wrapper(_) => None,
        };
        if let Some(tls) = starttls {
            self.step(connection.starttls(tls.clone(), &self.hello))
                .await
                .map_err(|e| self.session_error("The connection cannot be encrypted", &e))?;
        }
        if let Some(login) = &self.login {
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            self.step(connection.auth(DEFAULT_MECHANISMS, &credentials))
                .await
                .map_err(|e| self.session_error("The mail server refused the login", &e))?;
        }
        Ok(connection)
    }

    async fn step<T>(&self, answer: impl Future<Output = Result<T, SmtpError>>) -> Result<T, Failure> {
        match timeout(self.limits.step, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(Failure::Smtp(e)),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// An idle connection that still answers.
    async fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = {
                let mut idle = self.idle.lock();
                idle.retain(|kept| kept.since.elapsed() < self.limits.idle);
                idle.pop()?.connection
            };
            if let Ok(Ok(_)) = timeout(self.limits.connect, connection.command(Noop)).await {
                return Some(connection);
            }
        }
    }

    fn keep_idle(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// An error before the recipient was named. Even a 5xx (a wrong password, a greeting of 554) is then about a
    /// setting that somebody will correct and not about the address, so the message is tried again.
    fn session_error(&self, context: &str, failure: &Failure) -> SendError {
        SendError::temporary(&Self::advised(&format!("{context}: {}", self.describe_failure(failure)), failure))
    }

    /// An error about this message: permanent only if the server refuses its address.
    fn message_error(&self, failure: &Failure) -> SendError {
        let words = self.describe_failure(failure);
        if let Failure::Smtp(error) = failure
            && let Some(code) = error.status()
        {
            let said = error.source().map(ToString::to_string).unwrap_or_default();
            if refusal::refuses_address(code.into(), &said) {
                return SendError::permanent(&words);
            }
        }
        SendError::temporary(&Self::advised(&words, failure))
    }

    /// Appends the advice for an administrator, which is kept even if the words have to be shortened.
    fn advised(words: &str, failure: &Failure) -> String {
        let advice = match failure {
            Failure::TimedOut => None,
            Failure::Smtp(_) => refusal::advice(words),
        };
        match advice {
            Some(advice) => format!("{} {advice}", text::one_line(words, MESSAGE_LIMIT - 1 - advice.len())),
            None => words.to_owned(),
        }
    }

    fn describe_failure(&self, failure: &Failure) -> String {
        let words = match failure {
            Failure::TimedOut => format!("no answer within {} seconds", self.limits.step.as_secs()),
            Failure::Smtp(e) => match (e.status(), e.source()) {
                (Some(code), Some(text)) => format!("{code} {text}"),
                (Some(code), None) => code.to_string(),
                (None, Some(detail)) if e.is_response() => {
                    format!("the connection was cut, or the response was not SMTP ({detail})")
                }
                (None, Some(detail)) => detail.to_string(),
                (None, None) => e.to_string(),
            },
        };
        match &self.login {
            Some(login) => login.remove_from(words),
            None => words,
        }
    }
}

impl Security {
    /// A login is never sent without TLS.
    fn for_login(self) -> Result<Self, String> {
        match self {
            Self::None => {
                Err("the login in the SMTP URL would be sent without TLS: use smtps:// or ?tls=required".into())
            }
            Self::Opportunistic(tls) => Ok(Self::Required(tls)),
            encrypted @ (Self::Required(_) | Self::Wrapper(_)) => Ok(encrypted),
        }
    }

    /// The security that the URL asks for, and the usual port for it.
    fn from_url(url: &Url, host: &str, authorities: Option<&[u8]>) -> Result<(Self, u16), String> {
        let mut tls = None;
        for (key, value) in url.query_pairs() {
            if key != "tls" {
                return Err("the SMTP URL has a parameter other than `tls`".to_owned());
            }
            tls = Some(value.into_owned());
        }
        let parameters = || -> Result<TlsParameters, SmtpError> {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(pem) = authorities {
                parameters = parameters.add_root_certificate(Certificate::from_pem(pem)?);
            }
            parameters.build()
        };
        let parameters = || parameters().map_err(|_| "the host of the SMTP URL cannot be checked by TLS".to_owned());
        Ok(match (url.scheme(), tls.as_deref()) {
            ("smtps", None) => (Self::Wrapper(parameters()?), 465),
            ("smtp", None) => (Self::None, 25),
            ("smtp", Some("required")) => (Self::Required(parameters()?), 587),
            ("smtp", Some("opportunistic")) => (Self::Opportunistic(parameters()?), 587),
            ("smtp", Some(_)) => return Err("in the SMTP URL, `tls` is `required` or `opportunistic`".to_owned()),
            ("smtps", Some(_)) => {
                return Err("`tls` belongs to smtp://; smtps:// is encrypted from the first byte".to_owned());
            }
            _ => return Err("the SMTP URL begins with neither smtp:// nor smtps://".to_owned()),
        })
    }
}

/// True for a server on this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host name to introduce ourselves with, if it can be one.
pub(super) fn helo_name(name: &str) -> Option<ClientId> {
    let possible = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_[]:".contains(&b));
    possible.then(|| ClientId::Domain(name.to_owned()))
}

/// The name of this machine; or `public_host`, if only that is a full host name, as in a container.
pub(super) fn own_name(public_host: &str) -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if name.contains('.') => ClientId::Domain(name),
        _ if public_host.contains('.') && public_host.parse::<IpAddr>().is_err() => {
            ClientId::Domain(public_host.to_owned())
        }
        other => other,
    }
}

impl Login {
    fn from_url(url: &Url) -> Result<Option<Self>, String> {
        let decode = |part: &str| {
            percent_decode_str(part)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| "the login in the SMTP URL is not UTF-8".to_owned())
        };
        match (url.username(), url.password()) {
            ("", None) => Ok(None),
            (user, Some(password)) if !user.is_empty() => {
                Ok(Some(Self { user: decode(user)?, password: decode(password)? }))
            }
            _ => Err("the SMTP URL has a user without a password, or a password without a user".to_owned()),
        }
    }

    /// Some servers repeat the login in their reply.
    fn remove_from(&self, words: String) -> String {
        let Self { user, password } = self;
        [BASE64.encode(format!("\0{user}\0{password}")), BASE64.encode(password), BASE64.encode(user), password.clone()]
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(words, |words, secret| words.replace(secret.as_str(), "[removed]"))
    }
}

/// The parameters of MAIL FROM for addresses and text beyond ASCII.
fn parameters(
    connection: &AsyncSmtpConnection,
    envelope: &Envelope,
    message: &[u8],
) -> Result<Vec<MailParameter>, SendError> {
    let server = connection.server_info();
    let addresses = envelope.from().into_iter().chain(envelope.to());
    let mut parameters = vec![];
    if addresses.map(AsRef::<str>::as_ref).any(|address| !address.is_ascii()) {
        if !server.supports_feature(Extension::SmtpUtfEight) {
            return Err(SendError::permanent(
                "The mail server does not accept addresses with letters beyond ASCII (SMTPUTF8).",
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !message.is_ascii() && server.supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    Ok(parameters)
}

enum Failure {
    Smtp(SmtpError),
    TimedOut,
}

#[cfg(test)]
mod tests;
