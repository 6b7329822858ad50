//! Sending mail: one message to one address, through an SMTP server or into a folder.
//!
//! **What it promises.** [`Mailer::send`] answers within a minute, whatever the other
//! side does. `Ok` means that the server took the message over (or that the file lies
//! complete in its folder). An error says whether another attempt can help, in the
//! server's own words, without credentials. A message with the same [`Outgoing`] is the
//! same message each time: same `Message-ID`, same date, same file name. Nothing in a
//! subject, an address or an id can add a header or a recipient.
//!
//! **What it does not.** It does not retry, does not remember, and knows nothing of
//! instances: that is the business of the notification ledger. It does not tell a bad
//! recipient from a bad sender when the server's refusal of the recipient does not.
//!
//! **Cut in the middle.** A connection that saw an error, a timeout or a dropped future
//! is closed and never used again. If the cut falls between the server's acceptance and
//! its answer, the message may arrive twice, with one `Message-ID`. A file appears under
//! its name only when it is whole; sending again replaces it.

pub mod address;
mod file;
mod message;
mod smtp;
pub mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use lettre::message::Mailbox;

pub use self::address::{EmailAddress, InvalidAddress};
use self::file::Folder;
use self::smtp::Smtp;

/// Sends mail; cheap to clone, and clones share their connections.
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
    /// The HTML part: a whole document.
    pub html: String,
    /// Without the angle brackets, such as `run-17@muster.example.org`.
    pub message_id: String,
    /// The `message_id` of the message that this one answers.
    pub in_reply_to: Option<String>,
    /// What the `Date` header says, in Unix milliseconds.
    pub date_ms: i64,
}

/// Whether a message is still ours to send.
pub type Ours<'a> = &'a (dyn Fn() -> bool + Sync);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// Whether the same message to the same address will be refused again.
    pub permanent: bool,
    /// The server's words, or ours: one line of at most 300 characters, no credentials.
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

impl Mailer {
    /// Reads the settings; connects to nothing.
    ///
    /// `smtp_url` is `smtp://` or `smtps://`, `[user:password@]host[:port][/hello-name]`,
    /// for `smtp` also `?tls=required` or `?tls=opportunistic`. Without it, messages are
    /// written into `dir` as `.eml` files. `from` is an address with or without a name.
    /// The error is one line that names the fault and never repeats the URL.
    pub fn new(smtp_url: Option<&str>, from: &str, dir: &Path) -> Result<Self, String> {
        let from = message::sender(from).map_err(|fault| format!("setting mail_from: {fault}"))?;
        let route = match smtp_url {
            Some(url) => {
                let smtp = Smtp::from_url(url).map_err(|fault| format!("setting smtp_url: {fault}"))?;
                Route::Smtp(Arc::new(smtp))
            }
            None => Route::Folder(Arc::new(Folder::new(dir)?)),
        };
        Ok(Self { from, route })
    }

    /// Hands one message over. Takes 60 seconds at most. `ours` is asked at the last moment
    /// at which the message can be held back; if it no longer is, somebody else sends it.
    pub async fn send(&self, mail: &Outgoing, ours: Ours<'_>) -> Result<(), SendError> {
        let message = message::build(&self.from, mail)?;
        match &self.route {
            Route::Smtp(smtp) => smtp.send(message.envelope(), &message.formatted(), ours).await,
            Route::Folder(folder) => folder.write(&mail.message_id, message.formatted()).await,
        }
    }

    /// Where mail goes, for the start-up line; without credentials.
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
