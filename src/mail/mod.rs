//! Sending mail: one message to one address, through an SMTP server or into a folder.
//!
//! **Guarantees.** [`Mailer::send`] returns within a minute, whatever the server does. `Ok` means that the server
//! accepted the message, or that the file is complete in its folder. An error says whether another attempt can
//! succeed, in the server's own words and without credentials. The same [`Outgoing`] always gives the same message:
//! the same `Message-ID`, date and file name. Nothing in a subject, an address or an id can add a header or a
//! recipient.
//!
//! **Not its task.** It does not retry, stores nothing, and knows nothing of instances; the notification ledger does
//! that. If the server's reply does not say whether it refuses the sender or the recipient, neither does the error.
//!
//! **Interruptions.** A connection that met an error, a timeout or a dropped future is closed and never reused. If
//! the connection is lost after the server accepted the message and before its reply arrived, the message may arrive
//! twice, with the same `Message-ID`. A file appears under its name only when it is complete; sending again
//! replaces it.

pub mod address;
mod file;
mod message;
mod refusal;
mod smtp;
pub mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lettre::message::Mailbox;

pub use self::address::{EmailAddress, InvalidAddress};
use self::file::Folder;
use self::smtp::Smtp;

/// Sends mail. Clones share their connections.
#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    route: Route,
}

#[derive(Clone)]
enum Route {
    Smtp(Arc<Smtp>),
    Folder(Arc<Folder>),
}

/// One message to one address.
#[derive(Clone)]
pub struct Outgoing {
    /// The bare address, such as `ann@example.org`.
    pub to: String,
    /// Any text; control characters become spaces, and it is cut at 250 characters.
    pub subject: String,
    /// The plain-text part.
    pub text: String,
    /// The HTML part: a complete document.
    pub html: String,
    /// Without the angle brackets, such as `run-17@muster.example.org`.
    pub message_id: String,
    /// The `message_id` of the message that this one replies to.
    pub in_reply_to: Option<String>,
    /// The time in the `Date` header, in Unix milliseconds.
    pub date_ms: i64,
}

/// Asked right before the message is sent: false if another process may send it instead.
pub type StillOurs<'a> = &'a (dyn Fn() -> bool + Sync);

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// True if the same message to the same address will be refused again.
    pub permanent: bool,
    /// The server's reply or our own words: one line of at most 300 characters, without credentials.
    pub message: String,
}

impl SendError {
    fn permanent(message: &str) -> Self {
        Self { permanent: true, message: text::one_line(message, MESSAGE_LIMIT) }
    }

    fn temporary(message: &str) -> Self {
        Self { permanent: false, message: text::one_line(message, MESSAGE_LIMIT) }
    }
}

const MESSAGE_LIMIT: usize = 300;

/// The settings of a [`Mailer`].
pub struct MailSettings<'a> {
    /// `smtp://` or `smtps://`, followed by `[user:password@]host[:port][/helo-name]`. With `smtp` it may end with
    /// `?tls=required` or `?tls=opportunistic`. Without it, messages are written to `dir` as `.eml` files.
    pub smtp_url: Option<&'a str>,
    /// The host name to introduce ourselves with, unless the URL has one.
    pub helo_name: Option<&'a str>,
    /// The host of the public address, which is used if this machine has no full host name.
    pub public_host: &'a str,
    /// Certificate authorities in PEM that are trusted besides those of the system.
    pub authorities: Option<&'a [u8]>,
    /// The sender: an address with or without a name.
    pub from: &'a str,
    pub dir: &'a Path,
}

impl Mailer {
    /// Checks the settings; does not connect.
    ///
    /// # Errors
    /// One line that says what is wrong, without the URL.
    pub fn new(settings: &MailSettings<'_>) -> Result<Self, String> {
        let from = message::sender(settings.from).map_err(|fault| format!("setting mail_from: {fault}"))?;
        let helo = match settings.helo_name {
            Some(name) => {
                let found = smtp::helo_name(name);
                found.ok_or_else(|| format!("setting smtp_helo_name: \"{name}\" is not a host name"))?
            }
            None => smtp::own_name(settings.public_host),
        };
        let route = match settings.smtp_url {
            Some(url) => {
                let smtp = Smtp::from_url(url, helo, settings.authorities);
                Route::Smtp(Arc::new(smtp.map_err(|fault| format!("setting smtp_url: {fault}"))?))
            }
            None => Route::Folder(Arc::new(Folder::new(settings.dir)?)),
        };
        Ok(Self { from, route })
    }

    /// Sends one message, within 60 seconds.
    pub async fn send(&self, mail: &Outgoing, still_ours: StillOurs<'_>) -> Result<(), SendError> {
        let message = message::build(&self.from, mail)?;
        match &self.route {
            Route::Smtp(smtp) => smtp.send(message.envelope(), &message.formatted(), still_ours).await,
            Route::Folder(folder) => folder.write(&mail.message_id, message.formatted()).await,
        }
    }

    /// Where mail is sent, for the log line at the start; without credentials.
    pub fn describe(&self) -> String {
        match &self.route {
            Route::Smtp(smtp) => smtp.describe(),
            Route::Folder(folder) => folder.describe(),
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailer({})", self.describe())
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}
