//! The content of a mail about a webhook that was switched off.

use super::wording::{Detail, MailContent};
use super::{DisabledWebhook, format_time};
use crate::mail::text::one_line;

const FOOTER: &str =
    "You get this mail because you created this webhook, or because you are on the list of recipients.";

pub(super) fn content(webhook: &DisabledWebhook) -> MailContent {
    let DisabledWebhook { description, place, is_gone, since_ms, error, link } = webhook;
    let (description, place) = (one_line(description, 80), one_line(place, 120));
    let name = if description.is_empty() { place.clone() } else { format!("“{description}”") };
    let happened = if *is_gone {
        format!("The receiver of the webhook {name} answered that it is gone. Muster has switched it off.")
    } else {
        format!(
            "The receiver of the webhook {name} has accepted no message for three days. Muster has switched it off."
        )
    };
    let mut details = vec![Detail { label: "Receiver", value: place }];
    if !description.is_empty() {
        details.push(Detail { label: "Webhook", value: description });
    }
    details.push(Detail { label: "Since", value: format_time(*since_ms) });
    if !error.is_empty() {
        details.push(Detail { label: "Last answer", value: one_line(error, 200) });
    }
    MailContent {
        subject: format!("Webhook {name} was switched off"),
        tone: "bad",
        headline: "A webhook was switched off".to_owned(),
        happened: vec![happened],
        meaning: vec![
            "The messages that were waiting have failed. What happens from now on is not recorded for this webhook."
                .to_owned(),
        ],
        steps: vec![
            "Repair the receiver, or enter its new address under Settings, Webhooks.".to_owned(),
            "Send a test there, and switch the webhook on.".to_owned(),
            "Send the failed messages again, if the receiver needs them.".to_owned(),
        ],
        details,
        link: link.clone(),
        footer: FOOTER,
    }
}
