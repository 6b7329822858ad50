//! The content of a mail: what happened, what it means, and what to do now.

use entity::notification::NotificationKind as Kind;
use serde::Serialize;

use super::{Counts, Facts, format_time};
use crate::mail::text::one_line;

/// The content of a mail, before the templates lay it out.
#[derive(Serialize)]
pub(super) struct MailContent {
    pub(super) subject: String,
    /// The colour of the headline: `good`, `bad` or `plain`.
    pub(super) tone: &'static str,
    pub(super) headline: String,
    pub(super) happened: Vec<String>,
    pub(super) meaning: Vec<String>,
    pub(super) steps: Vec<String>,
    pub(super) details: Vec<Detail>,
    pub(super) link: String,
    pub(super) footer: &'static str,
}

#[derive(Serialize)]
pub(super) struct Detail {
    pub(super) label: &'static str,
    pub(super) value: String,
}

pub(super) const FOOTER: &str = "You get this mail because you created this instance, or because you are on the list \
    of recipients. Muster writes when a state changes; repeated failures and routine syncs are not mailed.";
const TEST_FOOTER: &str = "You get this mail because an administrator of Muster had it sent to this address.";

pub(super) fn content(facts: &Facts) -> MailContent {
    let writer = Writer::new(facts);
    match facts.kind {
        Kind::InitialSyncSucceeded | Kind::SyncRecovered if facts.counts.seen == 0 => writer.nobody(),
        Kind::InitialSyncSucceeded | Kind::SyncRecovered => writer.good_news(),
        Kind::InitialSyncFailed | Kind::SyncFailed | Kind::AutoRevoked => writer.bad_news(),
        // None of them is about a run.
        Kind::RenewalReminder | Kind::WeeklyDigest | Kind::WebhookDisabled | Kind::Unknown => writer.bad_news(),
        Kind::Test => writer.test(),
    }
}

/// Writes the content from the facts. Texts from outside are cleaned first.
pub(super) struct Writer<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) app: String,
    pub(super) name: String,
    pub(super) permissions: String,
    pub(super) revoked: bool,
}

impl<'a> Writer<'a> {
    fn new(facts: &'a Facts<'a>) -> Self {
        let app = one_line(facts.integration, 60);
        let of_success = facts.missing.map(|missing| missing.permissions);
        let permissions = facts.failure.map(|failure| failure.missing_permissions).or(of_success).unwrap_or_default();
        Self {
            facts,
            app: if app.is_empty() { "the application".to_owned() } else { app },
            name: one_line(facts.instance, 80),
            permissions: comma_separated(permissions),
            revoked: facts.revoked || facts.kind == Kind::AutoRevoked,
        }
    }

    fn good_news(&self) -> MailContent {
        let Self { facts, app, name, .. } = self;
        let users = users(facts.user_count);
        let first = facts.kind == Kind::InitialSyncSucceeded;
        let (headline, happened) = if first {
            (
                "first sync succeeded",
                format!(
                    "The first sync of “{name}” is complete: {users} of {app} are now \
                reported."
                ),
            )
        } else {
            let after =
                facts.since_ms.map(|ms| format!(" It had been failing since {}.", format_time(ms))).unwrap_or_default();
            (
                "sync works again",
                format!(
                    "The sync of “{name}” succeeded again.{after} {} of {app} are up to \
                date.",
                    capitalized(&users)
                ),
            )
        };
        let mut meaning = vec![match facts.next_sync_ms {
            Some(next) => format!(
                "Muster keeps them up to date from now on; the next sync is due at \
                {}.",
                format_time(next)
            ),
            None => "Muster keeps them up to date from now on.".to_owned(),
        }];
        let mut steps = vec![];
        if let Some(missing) = facts.missing {
            meaning.push(format!("Not everything could be read. {}", one_line(missing.message, 500)));
            steps.push(if self.permissions.is_empty() {
                format!("If it stays so, check in {app} what the {} may see.", self.holder())
            } else {
                format!("If you want what is missing, give the {} in {app}: {}.", self.holder(), self.permissions)
            });
            steps.push("The next sync that can read it adds it by itself.".to_owned());
        }
        self.finish("good", headline, &users, vec![happened], meaning, steps)
    }

    /// The sync succeeded, and listed nobody. That is true, or the token sees too little.
    fn nobody(&self) -> MailContent {
        let Self { facts, app, name, .. } = self;
        let holder = self.holder();
        let happened = format!("The sync of “{name}” is complete, and {app} listed nobody.");
        let meaning = format!("Either {app} has no users, or the {holder} may not see them. Muster keeps syncing.");
        let steps = vec![
            format!("Check in {app} whether it has users, and whether the {holder} may list them."),
            format!("If it has users, correct what the {holder} may see; then {}", self.wait()),
        ];
        let first = facts.kind == Kind::InitialSyncSucceeded;
        let headline = if first { "first sync found nobody" } else { "sync works again, but found nobody" };
        self.finish("plain", headline, &users(facts.user_count), vec![happened], vec![meaning], steps)
    }

    fn bad_news(&self) -> MailContent {
        let Self { facts, name, .. } = self;
        let (reason, cause) = match facts.failure {
            Some(failure) => (self.reason(failure.class), self.cause(failure.class)),
            None => (
                "the reason is in its history".to_owned(),
                "The reason is in the history of the \
                instance."
                    .to_owned(),
            ),
        };
        let headline = match (facts.kind, self.revoked) {
            (Kind::InitialSyncFailed, false) => "first sync failed",
            (Kind::InitialSyncFailed, true) => "first sync failed, now Inactive",
            (Kind::AutoRevoked, _) => "switched to Inactive",
            (_, false) => "sync failed",
            (_, true) => "sync failed, now Inactive",
        };
        let opening = match facts.kind {
            Kind::InitialSyncFailed => format!("The first sync of “{name}” failed. {cause}"),
            Kind::AutoRevoked => format!(
                "The sync of “{name}” was failing already, and now Muster has switched \
                the instance off. {cause}"
            ),
            _ => format!("The sync of “{name}” failed. {cause}"),
        };
        let mut happened = vec![opening];
        if let Some(failure) = facts.failure {
            let message = one_line(failure.message, 500);
            if !message.is_empty() {
                happened.push(format!("In detail: {message}"));
            }
            if !self.permissions.is_empty() {
                happened.push(format!("Missing permissions: {}", self.permissions));
            }
        }
        let steps = facts.failure.map_or_else(|| self.steps_without_class(), |failure| self.steps(failure.class));
        self.finish("bad", headline, &reason, happened, self.consequences(), steps)
    }

    fn test(&self) -> MailContent {
        let mut content = self.finish("plain", "", "", vec![], vec![], vec![]);
        "Muster test mail: sending works".clone_into(&mut content.subject);
        "Sending mail works".clone_into(&mut content.headline);
        content.happened = vec![
            "This is a test. Since you can read it, Muster can send mail to this \
            address."
                .to_owned(),
        ];
        content.meaning = vec![
            "Real mails come when the first sync of an instance ends, when a sync fails, when it \
             works again, and when Muster has to switch an instance off."
                .to_owned(),
        ];
        content.footer = TEST_FOOTER;
        content
    }

    fn consequences(&self) -> Vec<String> {
        let Self { facts, app, .. } = self;
        let users = users(facts.user_count);
        let data = match (facts.user_count, facts.data_as_of_ms) {
            (0, _) => "No users are reported from this instance.".to_owned(),
            (_, Some(as_of)) => format!(
                "Nobody was removed: the {users} known from {} stay reported, and go \
                stale until a sync succeeds.",
                format_time(as_of)
            ),
            (_, None) => format!(
                "Nobody was removed: the {users} known so far stay reported, and go stale \
                until a sync succeeds."
            ),
        };
        let future = match (self.revoked, facts.next_try_ms) {
            (true, Some(at)) => format!(
                "The instance is Inactive. Since {app} gave no reason, Muster tries the {} again by itself a few times \
                within a day, first at {}. If it works, the instance is Live again, and a mail says so. Its users and \
                its history are kept.",
                facts.secret,
                format_time(at)
            ),
            (true, None) => "The instance is Inactive: Muster does not try again until somebody has acted. Its users \
                and its history are kept."
                .to_owned(),
            (false, _) => "The instance stays Live. If the next attempts fail too, no further mail is sent; the next \
                one says that it works again."
                .to_owned(),
        };
        vec![data, future]
    }

    fn finish(
        &self,
        tone: &'static str,
        headline: &str,
        short: &str,
        happened: Vec<String>,
        meaning: Vec<String>,
        steps: Vec<String>,
    ) -> MailContent {
        let Self { facts, app, name, .. } = self;
        MailContent {
            subject: format!("{app} “{name}”: {headline} — {short}"),
            tone,
            headline: capitalized(&format!("{headline} — {short}")),
            happened,
            meaning,
            steps,
            details: self.details(),
            link: facts.link.clone(),
            footer: FOOTER,
        }
    }

    fn details(&self) -> Vec<Detail> {
        let Self { facts, app, name, .. } = self;
        let Counts { seen, added, changed, removed } = facts.counts;
        let mut details = vec![];
        let mut add = |label, value| details.push(Detail { label, value });
        if facts.kind == Kind::Test {
            add("Sent", format_time(facts.outcome_at_ms));
            return details;
        }
        let failed = !matches!(facts.kind, Kind::InitialSyncSucceeded | Kind::SyncRecovered);
        add("Integration", app.clone());
        add("Instance", name.clone());
        let outcome = match (failed, facts.missing.is_none()) {
            (true, _) => "Failed",
            (false, true) => "Succeeded",
            (false, false) => "Succeeded in part",
        };
        add("Outcome", format!("{outcome}, {}", format_time(facts.outcome_at_ms)));
        match facts.since_ms {
            Some(since) if failed => add("Since", format_time(since)),
            Some(since) if facts.kind == Kind::SyncRecovered => add("Failing since", format_time(since)),
            _ => {}
        }
        if self.revoked {
            add("Status", "Inactive, switched off by Muster".to_owned());
        }
        add("Users", grouped(facts.user_count));
        add(
            "This run",
            format!(
                "{} seen, {} added, {} changed, {} \
            removed",
                grouped(seen),
                grouped(added),
                grouped(changed),
                grouped(removed)
            ),
        );
        match facts.next_sync_ms {
            Some(next) if !self.revoked => add("Next sync", format_time(next)),
            _ if self.revoked => add("Next sync", "none while Inactive".to_owned()),
            _ => {}
        }
        if let Some(at) = facts.next_try_ms.filter(|_| self.revoked) {
            add("Next try", format_time(at));
        }
        details
    }
}

/// At most twelve items, separated by commas.
fn comma_separated(items: &[String]) -> String {
    let mut shown: Vec<_> =
        items.iter().take(12).map(|item| one_line(item, 80)).filter(|item| !item.is_empty()).collect();
    if items.len() > 12 {
        shown.push(format!("and {} more", items.len() - 12));
    }
    shown.join(", ")
}

fn users(count: u64) -> String {
    match count {
        0 => "no users".to_owned(),
        1 => "1 user".to_owned(),
        more => format!("{} users", grouped(more)),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
