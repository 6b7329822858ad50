//! What somebody should know about an instance, and what would help. Computed from its row on demand, never stored.

use entity::instance::{Health, InactiveReason, Model, Status};
use entity::run::{self, FailureClass, Outcome};

use super::credential_expiry;
use crate::clock::date_time;

/// How urgent a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "NoticeSeverity")]
pub enum Severity {
    /// A member made the instance inactive, or its syncs fail and may recover by themselves.
    Warning,
    /// The server made the instance inactive. It stays so until somebody acts, or the credential works again.
    Danger,
}

/// What somebody should know about an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    pub since: i64,
    pub remedies: Vec<Remedy>,
}

/// Something that would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    pub label: String,
    /// `None` where a person must act in the other application.
    pub action: Option<RemedyAction>,
}

/// What a client does for a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum RemedyAction {
    /// `updateInstance` with the status `LIVE`.
    SetLive,
    /// `updateInstance` with a new credential in `config`.
    Reconnect,
    /// `beginAuthorization` with the instance's id.
    Consent,
    /// `syncInstance`.
    Sync,
    /// `syncInstance` with `acceptRemovals`.
    AcceptRemovals,
    /// `syncInstance` with `acceptGrowth`.
    AcceptGrowth,
    /// `testConnection` with the instance's id.
    Test,
    /// `updateInstance` with other values in `config`.
    EditConfiguration,
    /// `updateInstance` with a longer `syncIntervalMinutes`.
    EditInterval,
}

impl RemedyAction {
    /// The field of `Mutation` that does it.
    pub const fn mutation(self) -> &'static str {
        match self {
            Self::SetLive | Self::Reconnect | Self::EditConfiguration | Self::EditInterval => "updateInstance",
            Self::Consent => "beginAuthorization",
            Self::Sync | Self::AcceptRemovals | Self::AcceptGrowth => "syncInstance",
            Self::Test => "testConnection",
        }
    }
}

pub(super) fn here(label: &str, action: RemedyAction) -> Remedy {
    Remedy { label: label.into(), action: Some(action) }
}

pub(super) fn there(label: String) -> Remedy {
    Remedy { label, action: None }
}

/// The application that an instance connects, as far as notices speak of it.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub integration: &'a str,
    /// A person consents in their browser; there is no credential to be typed in.
    pub consents: bool,
    /// What people call the credential: `token` or `password`.
    pub secret: &'a str,
}

/// What somebody should know about an instance at `now`; `last` is its last completed run.
pub fn notice_of(model: &Model, about: About, last: Option<&run::Model>, now: i64) -> Option<Notice> {
    let About { integration, consents, secret } = about;
    match (model.status, model.inactive_reason) {
        (Status::Deleting | Status::Deleted, _) => None,
        (Status::Inactive, Some(InactiveReason::UserDeactivated)) => Some(Notice {
            severity: Severity::Warning,
            title: "Switched off by a member".into(),
            detail: format!("{integration} is not synced. Its users stay in the register as they were, and go stale."),
            since: model.inactive_since.unwrap_or(model.updated_at),
            remedies: vec![here("Set the instance live", RemedyAction::SetLive)],
        }),
        (Status::Inactive, Some(InactiveReason::TokenInactive)) => Some(Notice {
            severity: Severity::Danger,
            title: format!("The {secret} is not accepted"),
            detail: format!(
                "{integration} refused the {secret}, so the server switched the instance off. Its users stay in the register as they were, and go stale.{}",
                next_try(model, secret)
            ),
            since: model.inactive_since.unwrap_or(model.updated_at),
            remedies: if consents {
                vec![
                    here("Consent again", RemedyAction::Consent),
                    here("Set the instance live, if the consent is valid again", RemedyAction::SetLive),
                ]
            } else {
                vec![
                    there(format!("Make a new {secret} in {integration}")),
                    here(&format!("Reconnect with the new {secret}"), RemedyAction::Reconnect),
                    here(&format!("Set the instance live, if the same {secret} works again"), RemedyAction::SetLive),
                ]
            },
        }),
        (Status::Inactive, Some(InactiveReason::InsufficientPermissions)) => {
            let missing = last.map(missing_permissions).unwrap_or_default();
            let missing =
                if missing.is_empty() { "the permission to list users".to_owned() } else { missing.join(", ") };
            let mut remedies = vec![
                there(format!("Grant {missing} in {integration}")),
                here("Set the instance live", RemedyAction::SetLive),
            ];
            if consents {
                remedies.push(here("Consent again, as somebody who has it", RemedyAction::Consent));
            }
            Some(Notice {
                severity: Severity::Danger,
                title: format!("The {secret} lacks a permission"),
                detail: format!(
                    "{integration} accepts the {secret}, but does not let it list users ({missing}), so the server switched the instance off. Its users stay in the register as they were, and go stale.{}",
                    next_try(model, secret)
                ),
                since: model.inactive_since.unwrap_or(model.updated_at),
                remedies,
            })
        }
        (Status::Live | Status::Inactive, _) if model.health == Health::Failing => Some(failing(model, about, last)),
        (Status::Live, _) if last.is_some_and(listed_nobody) => Some(nobody(model, about)),
        (Status::Live | Status::Inactive, _) => credential_expiry::notice(model, about, now),
    }
}

/// That the server tries the credential again, in a sentence.
fn next_try(model: &Model, secret: &str) -> String {
    let sentence = |at| {
        let time = date_time(at).format("%Y-%m-%d %H:%M UTC");
        format!(" The server tries the {secret} again by itself at {time}, and sets the instance live if it works.")
    };
    model.next_try_at.map(sentence).unwrap_or_default()
}

fn listed_nobody(run: &run::Model) -> bool {
    matches!(run.outcome, Some(Outcome::Succeeded | Outcome::Partial)) && run.seen == 0
}

fn nobody(model: &Model, about: About) -> Notice {
    let About { integration, .. } = about;
    Notice {
        severity: Severity::Warning,
        title: "The application lists nobody".into(),
        detail: format!(
            "{integration} was asked for its users, and listed none. If it has users, the credential may not see them."
        ),
        since: model.last_success_at,
        remedies: vec![
            there(format!("Check in {integration} what the credential may see")),
            here("Sync again now", RemedyAction::Sync),
        ],
    }
}

fn failing(model: &Model, about: About, last: Option<&run::Model>) -> Notice {
    let About { integration, consents, .. } = about;
    let class = model.failure_class.or_else(|| last.and_then(|run| run.failure_class));
    let again = here("Sync again now", RemedyAction::Sync);
    let (title, remedies) = match class {
        Some(FailureClass::RemovalGuard) => (
            "A sync would remove many users",
            vec![
                there(format!("Check in {integration} whether these people really left")),
                here("Accept the removals", RemedyAction::AcceptRemovals),
            ],
        ),
        Some(FailureClass::GrowthGuard) => (
            "A sync would add very many users",
            vec![
                there(format!(
                    "Check in {integration} whether all these people belong to it, and what the credential may see"
                )),
                here("Accept the growth", RemedyAction::AcceptGrowth),
            ],
        ),
        Some(FailureClass::RateLimit) => {
            ("The application asks to slow down", vec![here("Sync less often", RemedyAction::EditInterval), again])
        }
        Some(FailureClass::Config) => (
            "The application's answer does not fit",
            vec![
                here("Check the configuration", RemedyAction::Test),
                here("Correct the configuration", RemedyAction::EditConfiguration),
                again,
            ],
        ),
        Some(FailureClass::Token | FailureClass::Permission) => {
            let renew = if consents {
                here("Consent again", RemedyAction::Consent)
            } else {
                here("Enter a new credential", RemedyAction::Reconnect)
            };
            ("The application refuses the credential", vec![renew, again])
        }
        Some(FailureClass::Transient | FailureClass::Timeout) => ("The application cannot be reached", vec![again]),
        Some(FailureClass::Overdue) => {
            ("No list was delivered in time", vec![there("Deliver the list as it is now".into())])
        }
        Some(FailureClass::Internal) => ("This server made an error", vec![again]),
        // The last run was cancelled, and says nothing about those before it; or only a newer version knows the class.
        None | Some(FailureClass::Unknown) => ("Syncs fail", vec![again]),
    };
    let reason =
        last.and_then(|run| run.failure_message.clone()).unwrap_or_else(|| "The last completed sync failed.".into());
    let times = match model.consecutive_failures {
        0 | 1 => String::new(),
        times => format!(" It has failed {times} times in a row."),
    };
    Notice {
        severity: Severity::Warning,
        title: title.into(),
        detail: format!("{reason}{times} Nobody is removed from the register until a sync succeeds."),
        since: model.failing_since.unwrap_or(model.updated_at),
        remedies,
    }
}

/// The names of the permissions that a run found missing.
pub fn missing_permissions(run: &run::Model) -> Vec<String> {
    serde_json::from_value(run.missing_permissions.clone()).unwrap_or_default()
}
