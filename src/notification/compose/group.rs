//! The content of one message about many instances to which the same happened.

use entity::notification::NotificationKind as Kind;
use entity::run::FailureClass;

use super::wording::{Detail, FOOTER, MailContent};
use super::{Storm, format_time};
use crate::mail::text::one_line;

/// How many instances a mail names.
const NAMED: usize = 50;

pub(super) fn content(storm: &Storm) -> MailContent {
    let Storm { kind, class, instances, at_ms, link } = storm;
    let count = instances.len();
    let is_well = matches!(kind, Kind::SyncRecovered | Kind::InitialSyncSucceeded);
    let (short, happened) = what(*kind, *class, count);
    let mut happened = vec![happened];
    happened.extend(
        instances
            .iter()
            .take(NAMED)
            .map(|(integration, name)| format!("- {} “{}”", one_line(integration, 60), one_line(name, 80))),
    );
    if count > NAMED {
        happened.push(format!("and {} more", count - NAMED));
    }
    let (meaning, steps) = then(*kind, *class);
    MailContent {
        subject: format!("{count} instances: {short}"),
        tone: if is_well { "good" } else { "bad" },
        headline: format!("{count} instances: {short}"),
        happened,
        meaning,
        steps,
        details: vec![
            Detail { label: "Instances", value: count.to_string() },
            Detail { label: "Since", value: format_time(*at_ms) },
        ],
        link: (*link).to_owned(),
        footer: FOOTER,
    }
}

/// What happened, in a few words and in a sentence.
fn what(kind: Kind, class: Option<FailureClass>, count: usize) -> (String, String) {
    let reason = class.map(|class| match class {
        FailureClass::Timeout => "their applications stopped answering",
        FailureClass::Internal => "this server made an error",
        FailureClass::RemovalGuard => "too many users would be removed",
        FailureClass::GrowthGuard => "far too many users are listed",
        _ => "their applications cannot be reached",
    });
    match (kind, reason) {
        (Kind::SyncRecovered, _) => {
            ("sync works again".to_owned(), format!("The syncs of {count} instances work again."))
        }
        (Kind::InitialSyncSucceeded, _) => {
            ("first sync succeeded".to_owned(), format!("The first syncs of {count} instances are complete."))
        }
        (Kind::InitialSyncFailed, Some(reason)) => (
            format!("first sync failed — {reason}"),
            format!("The first syncs of {count} instances failed within a minute: {reason}."),
        ),
        (Kind::InitialSyncFailed, None) => {
            ("first sync failed".to_owned(), format!("The first syncs of {count} instances failed within a minute."))
        }
        (Kind::AutoRevoked, _) => (
            "switched to Inactive".to_owned(),
            format!("Muster switched {count} instances off, because their applications refuse the credentials."),
        ),
        (_, Some(reason)) => (
            format!("sync failed — {reason}"),
            format!("The syncs of {count} instances failed within a minute: {reason}."),
        ),
        (_, None) => ("sync failed".to_owned(), format!("The syncs of {count} instances failed within a minute.")),
    }
}

/// What it means, and what to do.
fn then(kind: Kind, class: Option<FailureClass>) -> (Vec<String>, Vec<String>) {
    match (kind, class) {
        (Kind::SyncRecovered | Kind::InitialSyncSucceeded, _) => (vec!["Muster syncs them by their schedules again.".to_owned()], vec![]),
        (Kind::SyncFailed, Some(FailureClass::RemovalGuard | FailureClass::GrowthGuard)) => {
            (vec![], vec!["Open each instance in Muster, and accept what the sync would do, if it is right.".to_owned()])
        }
        (Kind::SyncFailed | Kind::InitialSyncFailed, Some(_)) => (
            vec!["Nobody was removed. The instances stay Live, and Muster keeps trying. One mail says when they work again.".to_owned()],
            vec!["So many failures at once have one cause, most likely on this side: check the network, the proxy, the name server and the certificates of Muster's machine.".to_owned()],
        ),
        _ => (vec![], vec!["Open the instances in Muster: each one says why, and what to do.".to_owned()]),
    }
}
