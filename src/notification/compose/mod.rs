//! Writes the text of a mail. Pure: the same facts always give the same text, which is stored
//! before the first attempt to send it.
//!
//! `wording.rs` and `remedies.rs` write the content; the templates in `mail/templates` only
//! define the layout. Names and messages from outside are passed to the templates as values
//! and are stripped of invisible characters.

mod digest;
mod group;
mod remedies;
mod renewal;
mod webhook;
mod wording;

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate};
use entity::notification::NotificationKind;
use entity::run::FailureClass;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use self::wording::MailContent;

/// The facts that a mail reports.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub kind: NotificationKind,
    /// The instance is authorized by a person's consent in the browser, not by a token that is entered.
    pub uses_consent: bool,
    /// What people call the credential: `token` or `password`.
    pub secret: &'a str,
    /// The application's name, such as `Slack`; empty in a test mail.
    pub integration: &'a str,
    /// The instance's name; empty in a test mail.
    pub instance: &'a str,
    /// When the run ended, in Unix milliseconds.
    pub outcome_at_ms: i64,
    /// Since when the instance has been failing or revoked; for a recovery, since when it had been failing.
    pub since_ms: Option<i64>,
    /// When the last complete run finished.
    pub data_as_of_ms: Option<i64>,
    /// Why the run failed.
    pub failure: Option<FailureFacts<'a>>,
    /// The server set the instance inactive.
    pub revoked: bool,
    pub counts: Counts,
    /// The number of users of the instance after the run.
    pub user_count: u64,
    pub next_sync_ms: Option<i64>,
    /// When the server tries a credential again that it has revoked; `None` if it does not.
    pub next_try_ms: Option<i64>,
    /// The instance's page in the console.
    pub link: String,
    /// What a run that succeeded could not read.
    pub missing: Option<MissingFacts<'a>>,
}

/// What a run that succeeded could not read.
#[derive(Clone, Copy, Debug)]
pub struct MissingFacts<'a> {
    /// The run's message, written for people.
    pub message: &'a str,
    /// The permissions that the application reported as missing.
    pub permissions: &'a [String],
}

/// Why a run failed.
#[derive(Clone, Copy, Debug)]
pub struct FailureFacts<'a> {
    pub class: FailureClass,
    /// The run's failure message, written for people.
    pub message: &'a str,
    /// The permissions that the application reported as missing.
    pub missing_permissions: &'a [String],
}

/// Many instances to which the same happened.
#[derive(Clone, Debug)]
pub struct Storm<'a> {
    /// What happened to each.
    pub kind: NotificationKind,
    /// The reason that they share, if they do.
    pub class: Option<FailureClass>,
    /// The application's name and the instance's name of each.
    pub instances: &'a [(&'a str, &'a str)],
    pub at_ms: i64,
    /// The console.
    pub link: &'a str,
}

/// A contract whose last day for notice comes nearer.
#[derive(Clone, Debug)]
pub struct Renewal<'a> {
    /// The application's name.
    pub integration: &'a str,
    /// The instance's name.
    pub instance: &'a str,
    pub contract: &'a str,
    pub ends_on: NaiveDate,
    /// The last day for notice.
    pub notice_by: NaiveDate,
    pub notice_days: i32,
    /// How many days are left until then.
    pub days_left: i32,
    /// The name of each licence, and how many seats it has.
    pub seats: &'a [(&'a str, i64)],
    /// The instance's page in the console.
    pub link: String,
}

/// What was found in a week. No account is named.
#[derive(Clone, Debug)]
pub struct Digest<'a> {
    /// The first and the last day of the week.
    pub week: (NaiveDate, NaiveDate),
    /// For each type: what it is called, how many findings are new, and how many are open.
    pub types: &'a [(&'static str, i64, i64)],
    /// How many findings were closed.
    pub closed: i64,
    /// The list of findings in the console.
    pub link: String,
}

/// A webhook that the server has switched off.
#[derive(Clone, Debug)]
pub struct DisabledWebhook<'a> {
    /// What members call it; may be empty.
    pub description: &'a str,
    /// The host of its address, with the scheme. The rest of an address may be a secret.
    pub place: &'a str,
    /// The receiver said that it is gone.
    pub is_gone: bool,
    /// Since when it accepted nothing.
    pub since_ms: i64,
    /// The last error, in a sentence.
    pub error: &'a str,
    /// The page of the console about webhooks.
    pub link: String,
}

/// The user counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub seen: u64,
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
}

/// A mail that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMail {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Writes the mail.
pub fn compose(facts: &Facts) -> RenderedMail {
    rendered(wording::content(facts))
}

/// Writes one mail about many instances.
pub fn storm(storm: &Storm) -> RenderedMail {
    rendered(group::content(storm))
}

/// What a mail says, for a chat or an alert manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// `None` if it is neither good nor bad.
    pub is_good: Option<bool>,
    /// What happened to which instance, on one line.
    pub title: String,
    pub happened: Vec<String>,
    /// Since when it lasts; `None` if it is over.
    pub since: Option<String>,
    /// What to do now, step by step.
    pub steps: Vec<String>,
    pub link: String,
}

impl From<MailContent> for Brief {
    fn from(content: MailContent) -> Self {
        let since = content.details.into_iter().find(|detail| detail.label == "Since").map(|detail| detail.value);
        let is_good = match content.tone {
            "good" => Some(true),
            "bad" => Some(false),
            _ => None,
        };
        Self {
            is_good,
            title: content.subject,
            happened: content.happened,
            since: since.filter(|_| is_good == Some(false)),
            steps: content.steps,
            link: content.link,
        }
    }
}

/// What the mail says in short.
pub fn brief(facts: &Facts) -> Brief {
    wording::content(facts).into()
}

/// What a mail about many instances says in short.
pub fn brief_storm(storm: &Storm) -> Brief {
    group::content(storm).into()
}

/// Writes a weekly digest.
pub fn digest(digest: &Digest) -> RenderedMail {
    rendered(digest::content(digest))
}

/// Writes a reminder of a contract.
pub fn renewal(renewal: &Renewal) -> RenderedMail {
    rendered(renewal::content(renewal))
}

/// Writes that a webhook was switched off.
pub fn disabled_webhook(webhook: &DisabledWebhook) -> RenderedMail {
    rendered(webhook::content(webhook))
}

fn rendered(content: MailContent) -> RenderedMail {
    RenderedMail {
        text: render("notification.txt", &content),
        html: render("notification.html", &content),
        subject: content.subject,
    }
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    templates.set_syntax(syntax.expect("these are the default delimiters"));
    templates.add_filter("wrap", wrap);
    for (name, source) in [
        ("notification.txt", include_str!("../../mail/templates/notification.txt")),
        ("notification.html", include_str!("../../mail/templates/notification.html")),
    ] {
        templates.add_template(name, source).expect("the embedded templates are well-formed");
    }
    templates
});

/// Cannot fail because of the facts, only because of a wrong template.
fn render(template: &str, content: &MailContent) -> String {
    TEMPLATES
        .get_template(template)
        .and_then(|template| template.render(Serde(content)))
        .expect("the content has every field that the embedded templates use")
}

/// Breaks a paragraph into lines of 72 characters without breaking words, and indents all lines
/// but the first.
#[expect(clippy::needless_pass_by_value, reason = "the signature of a filter")]
fn wrap(text: String, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if wrapped.is_empty() {
            column += length;
        } else if column + 1 + length > 72 {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent + length;
        } else {
            wrapped.push(' ');
            column += 1 + length;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// `2026-11-22 14:03 UTC`.
fn format_time(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms)
        .map_or_else(|| "an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests;
