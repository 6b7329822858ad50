//! The page for a person whose authorization failed.

use axum::http::StatusCode;

use super::page::{Page, page};
use crate::db::Trouble;
use crate::error::{Error, Refusal, RefusalCode};
use crate::instance::authorization::{Failure, Why};

const AGAIN: &str = "Then begin again in Muster.";

/// The page for a failure.
pub(super) fn explain(failure: &Failure) -> Page {
    let app = failure.attempt.as_ref().map_or("the application", |attempt| attempt.application.as_str());
    let mut page = match &failure.why {
        Why::Unknown => unknown(),
        Why::Incomplete => incomplete(),
        Why::OtherBrowser => other_browser(),
        Why::NotAllowed => not_allowed(),
        Why::OtherProvider => other_provider(),
        Why::Denied => denied(app),
        Why::Error(error) => sent_back(app, error),
        Why::CodeRefused(message) => code_refused(app, message),
        Why::Refused(refusals) => refused(app, refusals),
        Why::Inner(error @ Error::Unavailable(_)) => unavailable(Trouble::of(error)),
        Why::Inner(_) => internal(),
    };
    // After these two, another request with the same consent may have succeeded.
    let certain = !matches!(failure.why, Why::Unknown | Why::Inner(_));
    if let Some(attempt) = failure.attempt.as_ref().filter(|_| certain) {
        let nothing = match attempt.instance_id {
            Some(_) => "Nothing was changed: the instance is as it was before.",
            None => "Nothing was created.",
        };
        page.happened.push(nothing.to_owned());
    }
    page
}

fn unknown() -> Page {
    page(
        StatusCode::BAD_REQUEST,
        "This consent is not expected",
        "The address that brought you here was used already, is older than ten minutes, or was not made by Muster.",
        &[
            "Check in Muster whether the application is connected: this page also appears when it is loaded twice.",
            "If it is not, begin again there.",
        ],
    )
}

fn incomplete() -> Page {
    page(
        StatusCode::BAD_REQUEST,
        "The answer is not complete",
        "The application sent you back without saying whether you consented.",
        &["Begin again in Muster. If it happens again, tell your Muster administrator."],
    )
}

fn other_browser() -> Page {
    page(
        StatusCode::FORBIDDEN,
        "This is another browser",
        "This consent was begun in another browser, or in another kind of window of this one. So that nobody can be led to consent for somebody else, it counts only where it was begun.",
        &[
            "Begin again in Muster, in this browser.",
            "If somebody sent you an address to consent at, and you do not know what for, ask them first.",
        ],
    )
}

fn other_provider() -> Page {
    page(
        StatusCode::FORBIDDEN,
        "This is the answer of another application",
        "The answer did not come from the application that was asked. It was not used, because an application could get the access of another one in this way.",
        &[
            "Check that the redirect address that is registered in the application is the one that Muster shows for it.",
            "If an administrator of Muster connected an application that you do not know, ask them about it.",
            AGAIN,
        ],
    )
}

fn not_allowed() -> Page {
    page(
        StatusCode::FORBIDDEN,
        "This is no longer allowed",
        "The session or token with which this was begun has ended, or may not change anything any more.",
        &["Sign in to Muster with a role that may connect applications.", AGAIN],
    )
}

fn denied(app: &str) -> Page {
    page(
        StatusCode::FORBIDDEN,
        &format!("{app} was not connected"),
        &format!("{app} says that the consent was declined."),
        &[
            &format!("If you did not mean to decline, begin again in Muster and allow what {app} asks for."),
            "If you may not consent, ask an administrator of the application to do it.",
        ],
    )
}

fn sent_back(app: &str, error: &str) -> Page {
    page(
        StatusCode::BAD_GATEWAY,
        &format!("{app} was not connected"),
        &format!("{app} sent you back with an error ({error}) before it asked you."),
        &[
            &format!(
                "Check in {app} that the app is registered with the address of this page, without the question mark and what follows it, and with the permissions that Muster lists."
            ),
            AGAIN,
        ],
    )
}

fn code_refused(app: &str, message: &str) -> Page {
    page(
        StatusCode::BAD_GATEWAY,
        &format!("{app} was not connected"),
        &format!("You consented, but {app} then refused to issue a token. {message}"),
        &[&format!("Compare the client ID and the client secret in Muster with those in {app}."), AGAIN],
    )
}

fn unavailable(trouble: Option<Trouble>) -> Page {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Muster is not available",
        trouble.map_or("Muster could not reach its database.", Trouble::sentence),
        &["Wait a moment, then begin again in Muster."],
    )
}

fn internal() -> Page {
    page(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Muster made an error",
        "The error is Muster's own; its log has the details.",
        &["Tell your Muster administrator."],
    )
}

fn refused(app: &str, refusals: &[Refusal]) -> Page {
    let happened: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    let (status, steps) = match refusals.first().map(|refusal| refusal.code) {
        Some(RefusalCode::NameTaken) => {
            (StatusCode::CONFLICT, vec!["Begin again in Muster, under another name.".to_owned()])
        }
        Some(RefusalCode::DifferentTenant) => (
            StatusCode::CONFLICT,
            vec![
                format!("To reconnect, sign in to {app} where the instance's users are, then begin again in Muster."),
                "To connect this one too, create a separate instance for it.".to_owned(),
            ],
        ),
        Some(RefusalCode::InsufficientPermissions) => (
            StatusCode::FORBIDDEN,
            vec![
                format!(
                    "Ask somebody who may list the users of {app} to consent, or have the missing permission granted there."
                ),
                AGAIN.to_owned(),
            ],
        ),
        Some(RefusalCode::CredentialRejected) => {
            (StatusCode::FORBIDDEN, vec![format!("Check in {app} whether the access was revoked."), AGAIN.to_owned()])
        }
        Some(RefusalCode::ApplicationUnreachable) => (
            StatusCode::BAD_GATEWAY,
            vec![format!("Check that {app} works, and that this server can reach it."), AGAIN.to_owned()],
        ),
        Some(RefusalCode::InstanceDeleted | RefusalCode::NotFound) => {
            (StatusCode::CONFLICT, vec!["Integrate the application as a new instance.".to_owned()])
        }
        _ => (StatusCode::CONFLICT, vec!["Correct that, and begin again in Muster.".to_owned()]),
    };
    Page { status, title: format!("{app} was not connected"), happened: vec![happened.join(" ")], steps }
}
