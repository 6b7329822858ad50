//! What the answers of chats and alert managers mean. Pure.

use entity::webhook::Kind;
use serde_json::Value;

/// What follows from an answer that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message is sent again.
    Again,
    /// The service does not take this message, however often it is sent.
    Refused,
    /// The channel or the address no longer exists.
    Gone,
}

/// A sentence for the person who set the receiver up, and what follows.
pub type Meaning = (Verdict, String);

/// What an answer of a service means; `None` if its status says everything.
pub fn meaning(kind: Kind, status: u16, text: &str) -> Option<Meaning> {
    let (verdict, sentence) = match kind {
        Kind::Standard => return None,
        Kind::Slack => slack(status, text.trim())?,
        Kind::Discord => discord(status, text)?,
        Kind::Mattermost | Kind::RocketChat => self_hosted(status)?,
        Kind::Teams => teams(status)?,
        Kind::GoogleChat => google_chat(status, text)?,
        Kind::Ntfy => ntfy(status)?,
        Kind::Pagerduty => pagerduty(status, text)?,
        Kind::Opsgenie => opsgenie(status)?,
        Kind::Alertmanager => alertmanager(status)?,
    };
    Some((verdict, sentence.into()))
}

type Said = (Verdict, &'static str);

use Verdict::{Again, Gone, Refused};

fn slack(status: u16, text: &str) -> Option<Said> {
    Some(match (status, text) {
        (_, "channel_is_archived") => (Gone, "The channel in Slack is archived. Choose another channel."),
        (_, "channel_not_found") => (Gone, "Slack has no such channel any more. Make a new incoming webhook."),
        (_, "no_service" | "no_service_id") => {
            (Gone, "Slack says that this incoming webhook was removed or switched off. Make a new one.")
        }
        (_, "no_team" | "team_disabled") => {
            (Gone, "Slack does not know the workspace of this address. Check the address.")
        }
        (_, "invalid_token" | "token_revoked" | "account_inactive") => {
            (Again, "Slack does not accept the last part of the address. Copy the whole address again.")
        }
        (_, "action_prohibited" | "posting_to_general_channel_denied" | "restricted_action") => {
            (Again, "The workspace does not allow this address to post in the channel. Ask its administrator.")
        }
        (_, "user_not_found") => {
            (Again, "The person whom this incoming webhook writes to is no longer in the workspace.")
        }
        (400, _) => (Refused, "Slack does not take this message."),
        (404, _) => (Gone, "Slack does not know this address. Copy the whole address again."),
        (429, _) => (Again, "Slack asks to slow down."),
        _ => return None,
    })
}

/// The numbers in the answers of Discord.
fn discord(status: u16, text: &str) -> Option<Said> {
    let code = serde_json::from_str::<Value>(text).ok().and_then(|body| body["code"].as_i64());
    Some(match (status, code) {
        (_, Some(10_015)) => (Gone, "The webhook was deleted in Discord. Make a new one."),
        (_, Some(10_003)) => (Gone, "The channel was deleted in Discord."),
        (_, Some(50_027)) | (401, _) => {
            (Again, "Discord does not accept the last part of the address. Copy the whole address again.")
        }
        (_, Some(220_001 | 220_003)) => {
            (Again, "The channel in Discord is a forum, where a webhook cannot post. Choose a text channel.")
        }
        (400, _) => (Refused, "Discord does not take this message."),
        (404, _) => (Gone, "Discord does not know this address. Copy the whole address again."),
        (429, _) => (Again, "Discord asks to slow down."),
        _ => return None,
    })
}

fn self_hosted(status: u16) -> Option<Said> {
    Some(match status {
        400 | 401 | 403 | 404 => (
            Again,
            "The server does not accept the message: check that the incoming webhook exists there, is enabled, and may \
             post in its channel, and that the address is whole.",
        ),
        413 => (Refused, "The message is longer than the server permits."),
        429 => (Again, "The server asks to slow down."),
        _ => return None,
    })
}

fn teams(status: u16) -> Option<Said> {
    Some(match status {
        400 => (
            Again,
            "The workflow does not take the message. Make it with the template “Send webhook alerts to a channel”.",
        ),
        401 | 403 => (
            Again,
            "The workflow does not accept the address: copy the whole address again, and let anyone trigger the workflow.",
        ),
        404 => (Gone, "The workflow was deleted or switched off. In Teams, open Workflows."),
        413 => (Refused, "The message is longer than Teams permits."),
        429 => (Again, "Microsoft asks to slow down."),
        _ => return None,
    })
}

fn google_chat(status: u16, text: &str) -> Option<Said> {
    Some(match status {
        400 if !text.contains("API key") => (Refused, "Google Chat does not take this message."),
        400 | 401 | 403 => {
            (Again, "Google Chat does not accept the key or the token of the address. Copy the whole address again.")
        }
        404 => (Gone, "The space or the webhook was deleted in Google Chat."),
        429 => (Again, "Google Chat asks to slow down."),
        _ => return None,
    })
}

fn ntfy(status: u16) -> Option<Said> {
    Some(match status {
        400 => (Refused, "The ntfy server does not take this message."),
        401 => (Again, "The ntfy server does not accept the access token."),
        403 => (Again, "The topic is protected: enter an access token that may write to it."),
        404 => (Again, "There is no ntfy server at this address."),
        413 => (Refused, "The message is longer than the ntfy server permits."),
        429 | 507 => (Again, "The ntfy server asks to slow down: its limits are reached."),
        _ => return None,
    })
}

fn pagerduty(status: u16, text: &str) -> Option<Said> {
    Some(match status {
        400 if text.contains("routing_key") || text.contains("Invalid routing key") => {
            (Again, "PagerDuty does not know the key. Enter the integration key of an Events API v2 integration.")
        }
        400 => (Refused, "PagerDuty does not take this event."),
        403 | 404 => (Again, "PagerDuty does not accept events at this address. Check the region: US or EU."),
        429 => (Again, "PagerDuty asks to slow down."),
        _ => return None,
    })
}

fn opsgenie(status: u16) -> Option<Said> {
    Some(match status {
        401 => (Again, "Opsgenie does not accept the key."),
        403 => (Again, "The key does not fit: check the region, US or EU, and that its integration may create alerts."),
        400 | 422 => (Refused, "Opsgenie does not take this alert."),
        429 => (Again, "Opsgenie asks to slow down."),
        _ => return None,
    })
}

fn alertmanager(status: u16) -> Option<Said> {
    Some(match status {
        400 => (Refused, "Alertmanager does not take this alert."),
        401 | 403 => {
            (Again, "Alertmanager, or the proxy before it, does not accept the user and password, or the token.")
        }
        404 | 405 => (Again, "There is no Alertmanager at this address, or it is older than 0.16. Check the path."),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_services_are_understood() {
        for (kind, status, text, verdict, said) in [
            (Kind::Slack, 410, "channel_is_archived", Gone, "archived"),
            (Kind::Slack, 403, "invalid_token", Again, "last part of the address"),
            (Kind::Slack, 404, "no_service", Gone, "removed"),
            (Kind::Slack, 403, "action_prohibited", Again, "administrator"),
            (Kind::Slack, 400, "invalid_blocks", Refused, "does not take"),
            (Kind::Discord, 404, r#"{"message":"Unknown Webhook","code":10015}"#, Gone, "deleted"),
            (Kind::Discord, 401, r#"{"message":"Invalid Webhook Token","code":50027}"#, Again, "last part"),
            (Kind::Discord, 400, r#"{"code":50035,"errors":{}}"#, Refused, "does not take"),
            (Kind::Discord, 404, "<html>", Gone, "does not know"),
            (Kind::Mattermost, 400, r#"{"id":"web.incoming_webhook.invalid.app_error"}"#, Again, "exists there"),
            (Kind::RocketChat, 404, "", Again, "whole"),
            (Kind::Teams, 401, "{}", Again, "anyone"),
            (Kind::Teams, 404, "{}", Gone, "deleted"),
            (Kind::GoogleChat, 404, "{}", Gone, "space"),
            (Kind::GoogleChat, 400, r#"{"error":{"message":"API key not valid."}}"#, Again, "whole address"),
            (Kind::GoogleChat, 400, "{}", Refused, "does not take"),
            (Kind::Ntfy, 403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, Again, "access token"),
            (Kind::Pagerduty, 400, r#"{"errors":["Length of 'routing_key' is incorrect"]}"#, Again, "integration key"),
            (Kind::Pagerduty, 400, r#"{"errors":["'payload.severity' is invalid"]}"#, Refused, "event"),
            (Kind::Opsgenie, 403, "{}", Again, "EU"),
            (Kind::Alertmanager, 404, "404 page not found", Again, "path"),
        ] {
            let (found, sentence) = meaning(kind, status, text).unwrap_or_else(|| panic!("{kind:?} {status} {text}"));
            assert!(found == verdict && sentence.contains(said), "{kind:?} {status} {text}: {found:?} {sentence}");
        }
        assert_eq!(meaning(Kind::Slack, 500, "rollup_error"), None);
        assert_eq!(meaning(Kind::Standard, 404, ""), None);
    }
}
