//! The parts of a list that a run could not read, and the texts about them.

use std::collections::BTreeSet;

use entity::run::{self, FailureClass};
use integration::source::{Capability, Loss};
use serde_json::Value;

use crate::error::Result;

/// The losses of a run.
pub(super) fn of(run: &run::Model) -> Result<Vec<Loss>> {
    Ok(serde_json::from_value(run.lost.clone())?)
}

/// Adds the losses of a page to those that are stored. Each part is kept once for each permission, with its first
/// reason.
pub(super) fn merge(known: &Value, more: &[Loss]) -> Result<Value> {
    let mut losses: Vec<Loss> = serde_json::from_value(known.clone())?;
    for loss in more {
        let same = |known: &&mut Loss| {
            known.capability == loss.capability && known.missing_permission == loss.missing_permission
        };
        match losses.iter_mut().find(same) {
            Some(known) if known.reason.is_none() => known.reason.clone_from(&loss.reason),
            Some(_) => {}
            None => losses.push(loss.clone()),
        }
    }
    Ok(serde_json::to_value(losses)?)
}

/// Whether the list may lack users who have an account.
pub(super) fn includes_users(losses: &[Loss]) -> bool {
    losses.iter().any(|loss| loss.capability == Capability::Users)
}

/// Whether the list may lack people who are invited.
pub(super) fn includes_invitations(losses: &[Loss]) -> bool {
    losses.iter().any(|loss| loss.capability == Capability::Invitations)
}

/// Takes out the invitations that the application does not seem to have.
pub(super) fn take_absent(losses: &mut Vec<Loss>) -> Vec<Loss> {
    losses.extract_if(.., |loss| loss.is_absent && loss.capability == Capability::Invitations).collect()
}

/// The loss of a list with an unexpected number of users.
pub(super) fn of_users(seen: i64, expected: u64) -> Loss {
    Loss::of_users(format!("The list should have {expected} different users, but {seen} were listed."))
}

/// What is missing, for a person. Each part, reason and permission is named once.
pub(super) fn describe(losses: &[Loss]) -> String {
    let mut sentences = Vec::new();
    if includes_users(losses) {
        sentences.push("It is not certain that the list of users is whole, so nobody was removed.".to_owned());
    }
    if includes_invitations(losses) {
        sentences.push("Not all invitations could be read, so nobody who is invited was removed.".to_owned());
    }
    let is_part = |capability: Capability| !matches!(capability, Capability::Users | Capability::Invitations);
    let parts = losses.iter().map(|loss| loss.capability).filter(|capability| is_part(*capability));
    let parts = distinct(parts.map(words));
    if !parts.is_empty() {
        let parts = parts.join(", ");
        sentences.push(format!("A part of the list could not be read, and keeps its old data: {parts}."));
    }
    sentences.extend(distinct(losses.iter().filter_map(|loss| loss.reason.as_deref())).into_iter().map(sentence));
    let permissions = permissions(losses);
    if !permissions.is_empty() {
        sentences.push(format!("Missing: {}.", permissions.join(", ")));
    }
    sentences.join(" ")
}

/// What the application does not have, for a person.
pub(super) fn describe_absent(absent: &[Loss]) -> Option<String> {
    let reason = absent.first()?.reason.as_deref();
    let known = "Invitations are not known: the application seems not to list them here.".to_owned();
    Some([known].into_iter().chain(reason.map(sentence)).collect::<Vec<_>>().join(" "))
}

/// `Permission` if any part was refused, otherwise `Config`.
pub(super) fn class(losses: &[Loss]) -> FailureClass {
    let refused = |loss: &Loss| loss.missing_permission.is_some() || loss.reason.is_none();
    if losses.iter().any(refused) { FailureClass::Permission } else { FailureClass::Config }
}

/// The missing permissions, each once.
pub(super) fn permissions(losses: &[Loss]) -> Vec<&str> {
    distinct(losses.iter().filter_map(|loss| loss.missing_permission.as_deref()))
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut met = BTreeSet::new();
    texts.filter(|text| met.insert(*text)).collect()
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// The name of a capability within a sentence.
fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Users => "the users",
        Capability::Invitations => "invitations",
        Capability::LastActivity => "last activity",
        Capability::Mfa => "second factors",
        Capability::AdminRoles => "administrator roles",
        Capability::Licenses => "licences",
        Capability::Profile => "profiles",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loss(capability: Capability, permission: Option<&str>, reason: Option<&str>) -> Loss {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Loss::new(capability, owned(permission), owned(reason))
    }

    #[test]
    fn each_part_reason_and_permission_is_named_once() {
        use Capability::{Invitations, LastActivity, Licenses, Mfa, Users};
        for (losses, text, class) in [
            (vec![], "", FailureClass::Config),
            (
                vec![loss(LastActivity, Some("audit.read"), None)],
                "A part of the list could not be read, and keeps its old data: last activity. Missing: audit.read.",
                FailureClass::Permission,
            ),
            (
                vec![
                    loss(Mfa, Some("report.read"), Some("The report was refused.")),
                    loss(LastActivity, Some("report.read"), Some("The report was refused.")),
                    loss(LastActivity, Some("audit.read"), None),
                ],
                "A part of the list could not be read, and keeps its old data: second factors, last activity. The report was \
                 refused. Missing: report.read, audit.read.",
                FailureClass::Permission,
            ),
            (
                vec![loss(Invitations, Some("invites.read"), Some("Refused"))],
                "Not all invitations could be read, so nobody who is invited was removed. Refused. Missing: invites.read.",
                FailureClass::Permission,
            ),
            (
                vec![loss(Users, None, Some("230 were announced, 200 came")), loss(Licenses, None, Some("HTTP 500."))],
                "It is not certain that the list of users is whole, so nobody was removed. A part of the list could not be \
                 read, and keeps its old data: licences. 230 were announced, 200 came. HTTP 500.",
                FailureClass::Config,
            ),
        ] {
            assert_eq!(describe(&losses), text);
            assert_eq!(super::class(&losses), class, "{text}");
        }
    }

    #[test]
    fn the_same_loss_of_many_pages_is_kept_once() {
        let mut known = json!([]);
        for reason in [None, Some("page 2"), Some("page 3")] {
            let more = [loss(Capability::Mfa, None, reason), loss(Capability::Mfa, Some("mfa.read"), reason)];
            known = merge(&known, &more).unwrap();
        }
        let kept: Vec<Loss> = serde_json::from_value(known).unwrap();
        let second = Some("page 2");
        assert_eq!(kept, [loss(Capability::Mfa, None, second), loss(Capability::Mfa, Some("mfa.read"), second)]);
    }
}
