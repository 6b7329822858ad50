//! From the facts of an outcome to the mail about it. Pure: the same facts give the same
//! text, which is stored before the first attempt to send it.
//!
//! `compose/wording.rs` and `compose/remedies.rs` decide what is said, the templates in
//! `mail/templates` only how it is laid out. Names and messages from outside are values
//! there, never templates, and have lost everything that is invisible.

mod remedies;
mod wording;

use std::sync::LazyLock;

use chrono::DateTime;
use entity::notification::NotificationKind;
use entity::run::FailureClass;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use self::wording::Letter;

/// What a mail is about.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub kind: NotificationKind,
    /// A person consents in their browser, and there is no token to be entered.
    pub consents: bool,
    /// The application's name, such as `Slack`; empty in a test mail.
    pub integration: &'a str,
    /// The instance's name; empty in a test mail.
    pub instance: &'a str,
    /// When the run ended, in Unix milliseconds.
    pub outcome_at_ms: i64,
    /// Since when the instance fails, or is revoked; of a recovery, since when it had failed.
    pub since_ms: Option<i64>,
    /// When the users were last brought up to date by a whole run.
    pub data_as_of_ms: Option<i64>,
    /// Why the run failed.
    pub failure: Option<FailureFacts<'a>>,
    /// The server switched the instance to Inactive.
    pub revoked: bool,
    pub counts: Counts,
    /// How many users of the instance are reported after the run.
    pub user_count: u64,
    pub next_sync_ms: Option<i64>,
    /// The instance's page in the console.
    pub link: String,
    /// Optional parts that were refused, in plain words, such as `last activity`.
    pub lost: &'a [String],
}

/// Why a run failed.
#[derive(Clone, Copy, Debug)]
pub struct FailureFacts<'a> {
    pub class: FailureClass,
    /// The run's own message, fit for a person.
    pub message: &'a str,
    /// What the application says is missing.
    pub missing_permissions: &'a [String],
}

/// What a run did, in users.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub seen: u64,
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
}

/// A mail that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Writes the mail.
pub fn compose(facts: &Facts) -> Rendered {
    let letter = wording::letter(facts);
    Rendered {
        text: render("notification.txt", &letter),
        html: render("notification.html", &letter),
        subject: letter.subject,
    }
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    templates.set_syntax(syntax.expect("these are the usual delimiters"));
    templates.add_filter("wrap", wrap);
    for (name, source) in [
        ("notification.txt", include_str!("../mail/templates/notification.txt")),
        ("notification.html", include_str!("../mail/templates/notification.html")),
    ] {
        templates.add_template(name, source).expect("the embedded templates are well-formed");
    }
    templates
});

/// Only the template can make this fail, never the facts.
fn render(template: &str, letter: &Letter) -> String {
    TEMPLATES
        .get_template(template)
        .and_then(|template| template.render(Serde(letter)))
        .expect("a letter has every field that the embedded templates name")
}

/// Breaks a paragraph into lines of 72 characters, those after the first indented; longer
/// words stay whole.
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
fn moment(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms)
        .map_or_else(|| "an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests;
