//! The bodies of messages to chats. Pure.
//!
//! Whatever somebody has given is escaped, so that it is neither markup nor a mention, and cut to what the service takes.

use entity::webhook::Kind;
use serde_json::{Value, json};

use super::text::{self, fit};
use crate::notification::compose::Brief;

/// How much of a text a service takes, in characters.
struct Limits {
    title: usize,
    text: usize,
}

/// The texts of a message may be so long. Where a service counts bytes or a whole message, these are so few characters
/// that they fit.
fn limits(kind: Kind) -> Limits {
    let (title, text) = match kind {
        // A header and a section.
        Kind::Slack => (150, 3_000),
        // A post has at most 16,383 characters.
        Kind::Mattermost => (200, 8_000),
        // A message has at most 5,000 characters, unless its server is set otherwise.
        Kind::RocketChat => (200, 4_500),
        // A message has at most 28 KB, and contains its texts twice.
        Kind::Teams => (250, 2_500),
        // A message has at most 32,000 bytes.
        Kind::GoogleChat => (200, 4_000),
        // An embed.
        Kind::Discord => (256, 4_096),
        // A message has at most 4,096 bytes.
        _ => (250, 1_000),
    };
    Limits { title, text }
}

/// What is said below the title.
fn text_of(brief: &Brief) -> String {
    let mut paragraphs = vec![brief.happened.join("\n")];
    paragraphs.extend(brief.since.as_ref().map(|since| format!("Since {since}.")));
    let steps = brief.steps.iter().zip(1..).map(|(step, number)| format!("{number}. {step}"));
    let steps: Vec<String> = steps.collect();
    match &brief.steps[..] {
        [] => {}
        [only] => paragraphs.push(format!("What to do: {only}")),
        _ => paragraphs.push(format!("What to do:\n{}", steps.join("\n"))),
    }
    paragraphs.join("\n\n")
}

/// What a test says.
pub fn of_test(link: String) -> Brief {
    Brief {
        is_good: None,
        title: "This is a test of Muster".into(),
        happened: vec!["Since you can read it, messages arrive here.".into()],
        since: None,
        steps: Vec::new(),
        link,
    }
}

/// The body of a message to a chat, without what is secret in its address.
pub fn body(kind: Kind, brief: &Brief) -> Value {
    let Limits { title, text } = limits(kind);
    let said = text_of(brief);
    match kind {
        Kind::Slack => slack(&fit(&brief.title, title, text::slack), &fit(&said, text, text::slack), brief),
        Kind::Mattermost | Kind::RocketChat => {
            let (name, said) = (fit(&brief.title, title, text::markdown), fit(&said, text, text::markdown));
            json!({ "attachments": [{
                "fallback": name, "color": color(brief), "title": name, "title_link": brief.link, "text": said,
            }] })
        }
        Kind::Teams => teams(&fit(&brief.title, title, text::plain), &fit(&said, text, text::plain), brief),
        Kind::GoogleChat => {
            google_chat(&fit(&brief.title, title, text::plain), &fit(&said, text, text::html), &brief.link)
        }
        Kind::Discord => json!({
            "allowed_mentions": { "parse": [] },
            "embeds": [{
                "title": fit(&brief.title, title, text::markdown),
                "description": fit(&said, text, text::markdown),
                "url": brief.link,
                "color": u32::from_str_radix(&color(brief)[1..], 16).unwrap_or_default(),
            }],
        }),
        // ntfy. Its topic is secret, and added when the message is sent.
        _ => json!({
            "title": fit(&brief.title, title, text::plain),
            "message": fit(&said, text, text::plain),
            "priority": if brief.is_good == Some(false) { 4 } else { 3 },
            "tags": [match brief.is_good {
                Some(true) => "white_check_mark",
                Some(false) => "warning",
                None => "information_source",
            }],
            "click": brief.link,
        }),
    }
}

fn color(brief: &Brief) -> &'static str {
    match brief.is_good {
        Some(true) => "#14663A",
        Some(false) => "#A01C1C",
        None => "#2450BD",
    }
}

fn slack(title: &str, said: &str, brief: &Brief) -> Value {
    let words = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let link = format!("<{}|Open in Muster>", fit(&brief.link, 2_000, text::slack));
    json!({
        // Shown in notifications.
        "text": title,
        "unfurl_links": false,
        "blocks": [
            { "type": "header", "text": words(title) },
            { "type": "section", "text": words(said) },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": link }] },
        ],
    })
}

/// A card. Runs of text, unlike blocks of text, contain no markup.
fn teams(title: &str, said: &str, brief: &Brief) -> Value {
    let tone = match brief.is_good {
        Some(true) => "Good",
        Some(false) => "Attention",
        None => "Default",
    };
    let head = json!({ "type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium", "color": tone });
    let mut body = vec![json!({ "type": "RichTextBlock", "inlines": [head] })];
    body.extend(said.split("\n\n").filter(|part| !part.is_empty()).map(|part| {
        json!({ "type": "RichTextBlock", "spacing": "Medium", "inlines": [{ "type": "TextRun", "text": part }] })
    }));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": body,
        "actions": [{ "type": "Action.OpenUrl", "title": "Open in Muster", "url": brief.link }],
    });
    // Some workflows post the card that they get, and others, made from an earlier template, each card that is attached.
    let attached = json!([{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }]);
    card["attachments"] = attached;
    card
}

fn google_chat(title: &str, said: &str, link: &str) -> Value {
    let button = json!({ "text": "Open in Muster", "onClick": { "openLink": { "url": link } } });
    json!({ "cardsV2": [{ "cardId": "muster", "card": {
        "header": { "title": title },
        "sections": [{ "widgets": [
            { "textParagraph": { "text": said.replace('\n', "<br>") } },
            { "buttonList": { "buttons": [button] } },
        ] }],
    } }] })
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;
    use crate::webhook::kind::{Family, family};

    fn hostile(length: usize) -> Brief {
        let name = "<!channel> @everyone **x** [y](https://evil.example) & \"z\" ".repeat(length);
        Brief {
            is_good: Some(false),
            title: format!("Okta “{name}”: sync failed"),
            happened: vec![format!("The sync of “{name}” failed."), "- 𝔛".repeat(length)],
            since: Some("2026-11-30 10:15 UTC".into()),
            steps: vec![format!("Look at {name}."), "Wait.".into()],
            link: "https://muster.example.com/instances/abc?x=1&y=2".into(),
        }
    }

    /// All texts of a body.
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(all) => all.iter().flat_map(texts).collect(),
            Value::Object(all) => all.values().flat_map(texts).collect(),
            _ => Vec::new(),
        }
    }

    fn length(value: &Value) -> usize {
        value.as_str().unwrap().chars().count()
    }

    #[test]
    fn every_service_gets_what_it_takes() {
        for kind in Kind::iter().filter(|kind| family(*kind) == Family::Chat) {
            for brief in [hostile(1), hostile(500), of_test("https://muster.example.com/".into())] {
                let body = body(kind, &brief);
                let bytes = body.to_string().len();
                match kind {
                    Kind::Slack => {
                        let blocks = body["blocks"].as_array().unwrap();
                        assert!(blocks.len() <= 50 && length(&body["text"]) <= 4_000);
                        assert!(length(&blocks[0]["text"]["text"]) <= 150, "{body}");
                        assert!(length(&blocks[1]["text"]["text"]) <= 3_000, "{body}");
                    }
                    Kind::Mattermost => assert!(length(&body["attachments"][0]["text"]) <= 16_383),
                    Kind::RocketChat => assert!(bytes <= 20_000 && length(&body["attachments"][0]["text"]) <= 5_000),
                    Kind::Teams => assert!(bytes <= 28_000, "{bytes}"),
                    Kind::GoogleChat => assert!(bytes <= 32_000, "{bytes}"),
                    Kind::Discord => {
                        let embed = &body["embeds"][0];
                        let (title, text) = (length(&embed["title"]), length(&embed["description"]));
                        assert!(title <= 256 && text <= 4_096 && title + text <= 6_000);
                        assert_eq!(body["allowed_mentions"], json!({ "parse": [] }));
                    }
                    _ => assert!(body["message"].as_str().unwrap().len() <= 4_096),
                }
                assert!(texts(&body).iter().any(|text| text.contains("muster.example.com")), "{kind:?}: a link");
                assert!(texts(&body).iter().any(|text| text.contains(&brief.title[..4])), "{kind:?}: a title");
            }
        }
    }

    #[test]
    fn names_are_no_markup() {
        let shown = |kind| texts(&body(kind, &hostile(1))).join("\n");
        let own = "<https://muster.example.com/instances/abc?x=1&amp;y=2|Open in Muster>";
        assert!(!shown(Kind::Slack).replace(own, "").contains(['<', '>']), "{}", shown(Kind::Slack));
        for kind in [Kind::Mattermost, Kind::RocketChat, Kind::Discord] {
            assert!(!shown(kind).contains("@everyone") && !shown(kind).contains(" [y"), "{}", shown(kind));
        }
        let said = body(Kind::GoogleChat, &hostile(1))["cardsV2"][0]["card"]["sections"][0]["widgets"][0].to_string();
        assert!(!said.replace("<br>", "").contains('<'), "{said}");
    }

    #[test]
    fn a_message_says_what_since_when_and_what_to_do() {
        let said = text_of(&hostile(1));
        for part in ["failed.", "Since 2026-11-30 10:15 UTC.", "What to do:\n1. Look at", "2. Wait."] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
