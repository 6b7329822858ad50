//! The built-in application with scripted outcomes, for trying mails and dashboards
//! without a real tenant.
//!
//! Its users are a window of an infinite sequence of invented people. Each run moves the
//! window by `churn_percent` of its size, so that people leave at one end and join at the
//! other. The setting `outcomes` lists the outcome of each run. The rehearsal has no state:
//! the settings and the number of the run determine everything, so another process can
//! take over a run.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::people::Person;
use super::catalog::{AuthenticationOption, Integration};
use super::manifest::auth::AuthenticationKind;
use super::manifest::config::{ConfigField, FieldKind};
use super::source::{Capability, Checkpoint, Config, ErrorClass, Loss, Page, Source, SourceError, Verified};
use super::user::{SourceUser, UserField};

mod people;

pub const KEY: &str = "rehearsal";

const PERMISSION: &str = "rehearsal.users.read";
const ACTIVITY_PERMISSION: &str = "rehearsal.activity.read";
const PROFILE_PERMISSION: &str = "rehearsal.profile.read";
/// How long an outage lasts, from when it is first noticed.
const OUTAGE: Duration = Duration::from_secs(20);

/// The scripted outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Partial,
    TokenInactive,
    InsufficientPermissions,
    RateLimited,
    Transient,
    /// It is down for a while, and then works again.
    Outage,
    Garbage,
    Hang,
    Empty,
    Uncertain,
    NoProfile,
}

const OUTCOMES: [(&str, Outcome); 12] = [
    ("success", Outcome::Success),
    ("partial", Outcome::Partial),
    ("token_inactive", Outcome::TokenInactive),
    ("insufficient_permissions", Outcome::InsufficientPermissions),
    ("rate_limited", Outcome::RateLimited),
    ("transient", Outcome::Transient),
    ("outage", Outcome::Outage),
    ("garbage", Outcome::Garbage),
    ("hang", Outcome::Hang),
    ("empty", Outcome::Empty),
    ("uncertain", Outcome::Uncertain),
    ("no_profile", Outcome::NoProfile),
];

fn parse_outcome(text: &str) -> Option<Outcome> {
    OUTCOMES.iter().find(|(name, _)| *name == text.trim()).map(|(_, outcome)| *outcome)
}

/// The numeric settings: key, label, default, minimum, maximum, help.
const NUMBERS: [(&str, &str, &str, i64, i64, &str); 4] = [
    ("users", "Users", "100", 0, 10_000_000, "How many users it has."),
    ("page_size", "Page size", "100", 1, 10_000, "How many users a page has."),
    ("latency_ms", "Latency", "0", 0, 600_000, "How long each page takes, in milliseconds."),
    ("churn_percent", "Churn", "0", 0, 100, "The share of users that joins, and that leaves, between runs."),
];

/// The entry of the catalog.
pub(super) fn integration(connector: super::catalog::Connector) -> Integration {
    let field = |key: &str, label: &str, kind, default: &str, help: &str| ConfigField {
        key: key.into(),
        label: label.into(),
        kind,
        optional: true,
        default: Some(default.into()),
        pattern: None,
        options: Vec::new(),
        placeholder: None,
        help: Some(help.into()),
        only_with: Vec::new(),
        decides_host: false,
    };
    let mut fields: Vec<_> = NUMBERS
        .iter()
        .map(|(key, label, default, .., help)| field(key, label, FieldKind::Integer, default, help))
        .collect();
    let words: Vec<_> = OUTCOMES.iter().map(|(name, _)| *name).collect();
    let help = format!("One word per run, comma-separated, the last one repeating: {}.", words.join(", "));
    fields.push(field("outcomes", "Outcomes", FieldKind::Text, "success", &help));
    fields.push(field("tenant", "Tenant", FieldKind::Text, "rehearsal", "The tenant that it reports."));
    Integration {
        key: KEY.into(),
        name: "Rehearsal".into(),
        also_known_as: vec!["Test".into(), "Demo".into()],
        category: "testing".into(),
        description:
            "A built-in application with scripted outcomes, for trying mails and dashboards without a real tenant."
                .into(),
        authentication_options: vec![AuthenticationOption {
            key: "default".into(),
            label: "None".into(),
            kind: AuthenticationKind::None,
        }],
        capabilities: Capability::of(UserField::ALL),
        fields,
        required_permissions: Vec::new(),
        documentation_url: None,
        setup: "Nothing has to be set up: it is built in.".into(),
        provided_fields: UserField::ALL.to_vec(),
        // Counted up when it tells other people, or other things of them.
        digest: format!("{KEY}-2"),
        connector,
    }
}

/// Checks the values of the settings that are present. Returns the key and a sentence for each wrong one.
pub fn problems(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    let text = |key: &str| config.get(key).map_or("", String::as_str);
    let numbers = NUMBERS.iter().filter_map(move |(key, label, _, least, most, _)| {
        let fits = !config.contains_key(*key)
            || text(key).parse::<i64>().is_ok_and(|number| (*least..=*most).contains(&number));
        (!fits).then(|| (*key, format!("{label} must be a whole number from {least} to {most}.")))
    });
    let unknown: Vec<_> = text("outcomes").split(',').filter(|name| parse_outcome(name).is_none()).collect();
    let outcomes = (!unknown.is_empty()).then(|| {
        let words: Vec<_> = OUTCOMES.iter().map(|(name, _)| *name).collect();
        ("outcomes", format!("Outcomes are words of this list, separated by commas: {}.", words.join(", ")))
    });
    numbers.chain(outcomes).collect::<Vec<_>>().into_iter()
}

/// The application during one run.
pub struct Rehearsal {
    users: i64,
    page_size: i64,
    latency: Duration,
    /// Where the window of users begins.
    offset: i64,
    outcome: Outcome,
    tenant: String,
    /// When an outage was first noticed.
    down_since: OnceCell<Instant>,
}

impl Rehearsal {
    /// `run_number` counts the instance's runs from 1.
    pub fn new(config: &Config, run_number: i64) -> Result<Self, SourceError> {
        if let Some((_, message)) = problems(config).next() {
            return Err(SourceError::new(ErrorClass::Config, message));
        }
        let number = |key: &str| config.get(key).and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
        let outcomes: Vec<Outcome> =
            config.get("outcomes").map_or("", String::as_str).split(',').filter_map(parse_outcome).collect();
        let run_index = usize::try_from(run_number.max(1) - 1).unwrap_or(usize::MAX);
        let users = number("users");
        let churn = users * number("churn_percent") / 100;
        Ok(Self {
            users,
            page_size: number("page_size"),
            latency: Duration::from_millis(number("latency_ms").unsigned_abs()),
            offset: churn.saturating_mul(run_number.max(1) - 1),
            outcome: outcomes.get(run_index).or(outcomes.last()).copied().unwrap_or(Outcome::Success),
            tenant: config.get("tenant").cloned().unwrap_or_default(),
            down_since: OnceCell::new(),
        })
    }

    fn token_error() -> SourceError {
        SourceError {
            definite: true,
            http_status: Some(401),
            ..SourceError::new(ErrorClass::Token, "The rehearsal says that its token was revoked.")
        }
    }

    fn permission_error() -> SourceError {
        SourceError {
            http_status: Some(403),
            missing_permissions: vec![PERMISSION.into()],
            ..SourceError::new(ErrorClass::Permission, "The rehearsal says that its token may not list users.")
        }
    }

    fn out_of_service() -> SourceError {
        SourceError {
            http_status: Some(503),
            ..SourceError::new(ErrorClass::Transient, "The rehearsal answers that it is out of service.")
        }
    }

    /// The error that replaces the page at `position`. Errors that happen to real applications
    /// during a listing replace the second page, if there is one.
    async fn error_at(&self, position: i64) -> Option<SourceError> {
        let late = position > 0 || self.users <= self.page_size;
        match self.outcome {
            Outcome::Success | Outcome::Partial | Outcome::NoProfile | Outcome::Empty | Outcome::Uncertain => None,
            Outcome::TokenInactive => Some(Self::token_error()),
            Outcome::InsufficientPermissions => Some(Self::permission_error()),
            Outcome::RateLimited => Some(SourceError {
                http_status: Some(429),
                retry_after_ms: Some(60_000),
                lasting: true,
                ..SourceError::new(ErrorClass::RateLimit, "The rehearsal asks to wait for longer than a sync may.")
            }),
            Outcome::Transient if late => Some(SourceError { lasting: true, ..Self::out_of_service() }),
            Outcome::Outage if late => {
                let since = self.down_since.get_or_init(async || Instant::now()).await;
                (since.elapsed() < OUTAGE).then(Self::out_of_service)
            }
            Outcome::Garbage if late => Some(SourceError {
                http_status: Some(200),
                ..SourceError::new(
                    ErrorClass::Config,
                    format!(
                        "Page {} of the rehearsal is not JSON: it begins with \"<html>\".",
                        position / self.page_size + 1
                    ),
                )
            }),
            Outcome::Hang if late => std::future::pending().await,
            Outcome::Transient | Outcome::Outage | Outcome::Garbage | Outcome::Hang => None,
        }
    }

    fn page(&self, position: i64) -> Page {
        let total = match self.outcome {
            Outcome::Empty => 0,
            Outcome::Uncertain => self.users - 1,
            _ => self.users,
        };
        let end = (position + self.page_size).min(total);
        let refused = |capability, permission: &str| Loss::new(capability, Some(permission.into()), None);
        let lost = match self.outcome {
            Outcome::Partial => vec![refused(Capability::LastActivity, ACTIVITY_PERMISSION)],
            Outcome::NoProfile => vec![refused(Capability::Profile, PROFILE_PERMISSION)],
            Outcome::Uncertain if end >= total => {
                let users = self.users;
                vec![Loss::of_users(format!("The rehearsal says that it has {users} users, but lists {total}."))]
            }
            _ => Vec::new(),
        };
        let of = |capability| -> BTreeSet<UserField> {
            UserField::ALL.iter().copied().filter(|field| field.info().capability == Some(capability)).collect()
        };
        let user = |number| {
            let user = Person { number: self.offset + number }.user();
            match self.outcome {
                Outcome::Partial => SourceUser { last_active_at: None, refused: of(Capability::LastActivity), ..user },
                Outcome::NoProfile => SourceUser {
                    aliases: None,
                    source_id: None,
                    employee_id: None,
                    department: None,
                    manager: None,
                    refused: of(Capability::Profile),
                    ..user
                },
                _ => user,
            }
        };
        Page {
            users: (position..end).map(user).collect(),
            next: (end < total).then(|| json!({ "position": end })),
            expected: u64::try_from(total).ok(),
            lost,
            ..Page::default()
        }
    }
}

#[async_trait]
impl Source for Rehearsal {
    async fn check(&self) -> Result<Verified, SourceError> {
        match self.outcome {
            Outcome::TokenInactive => Err(Self::token_error()),
            Outcome::InsufficientPermissions => Err(Self::permission_error()),
            _ => {
                Ok(Verified { tenant: Some(self.tenant.clone()), lost: self.page(0).lost, credential_expires_at: None })
            }
        }
    }

    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>> {
        let start = from.and_then(|at| at.get("position")?.as_i64()).unwrap_or(0);
        let pages = stream::unfold(Some(start), move |position| async move {
            let position = position?;
            tokio::time::sleep(self.latency).await;
            if let Some(error) = self.error_at(position).await {
                return Some((Err(error), Some(position)));
            }
            let page = self.page(position);
            let next = page.next.is_some().then_some(position + self.page_size);
            Some((Ok(page), next))
        });
        pages.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        let mut config: Config =
            NUMBERS.iter().map(|(key, _, default, ..)| ((*key).into(), (*default).into())).collect();
        config.insert("outcomes".into(), "success".into());
        config.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config
    }

    /// Everything up to the first error.
    async fn list(config: &Config, run: i64, from: Option<Checkpoint>) -> Vec<Result<Page, SourceError>> {
        let rehearsal = Rehearsal::new(config, run).unwrap();
        let mut pages = rehearsal.pages(from);
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let failed = page.is_err();
            listed.push(page);
            if failed {
                break;
            }
        }
        listed
    }

    #[tokio::test]
    async fn pages_hold_everybody_once_and_resume_where_they_were_cut() {
        let config = config(&[("users", "25"), ("page_size", "10")]);
        let pages: Vec<Page> = list(&config, 1, None).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(pages.iter().map(|page| page.users.len()).collect::<Vec<_>>(), [10, 10, 5]);
        let resumed = list(&config, 1, pages[0].next.clone()).await;
        assert_eq!(resumed.into_iter().map(Result::unwrap).collect::<Vec<_>>(), pages[1..]);
    }

    #[tokio::test]
    async fn churn_moves_the_window() {
        let config = config(&[("churn_percent", "10")]);
        let first = list(&config, 1, None).await.remove(0).unwrap().users;
        let second = list(&config, 2, None).await.remove(0).unwrap().users;
        assert_eq!(first[10..], second[..90]);
    }

    #[tokio::test]
    async fn the_last_outcome_repeats_and_the_check_foretells_the_next_run() {
        let config = config(&[("outcomes", "success, token_inactive")]);
        assert!(Rehearsal::new(&config, 1).unwrap().check().await.is_ok());
        for run in [2, 3, 99] {
            assert_eq!(Rehearsal::new(&config, run).unwrap().check().await.unwrap_err().class, ErrorClass::Token);
            assert_eq!(list(&config, run, None).await.pop().unwrap().unwrap_err().class, ErrorClass::Token);
        }
    }

    #[tokio::test]
    async fn an_outage_ends_after_a_while_and_the_list_goes_on() {
        let config = config(&[("users", "20"), ("page_size", "10"), ("outcomes", "outage")]);
        let rehearsal = Rehearsal::new(&config, 1).unwrap();
        let mut pages = rehearsal.pages(None);
        let first = pages.next().await.unwrap().unwrap();
        for _ in 0..2 {
            let error = pages.next().await.unwrap().unwrap_err();
            assert_eq!((error.class, error.lasting), (ErrorClass::Transient, false));
        }
        let noticed = Instant::now().checked_sub(OUTAGE).unwrap();
        let later = Rehearsal { down_since: OnceCell::new_with(Some(noticed)), ..Rehearsal::new(&config, 1).unwrap() };
        assert_eq!(later.pages(first.next).next().await.unwrap().unwrap().users.len(), 10);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let bad = config(&[("users", "-1"), ("page_size", "0"), ("outcomes", "success,oops")]);
        assert_eq!(problems(&bad).map(|(key, _)| key).collect::<Vec<_>>(), ["users", "page_size", "outcomes"]);
    }
}
